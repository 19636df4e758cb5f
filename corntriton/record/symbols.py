"""Symbols: what a flow handles in place of values that do not exist yet.

A symbol can be passed on, and nothing else: every look into it is a RecordError that says what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from corntriton.record.chunkers import parse_chunker
from corntriton.record.errors import choose
from corntriton.record.path import Element, Input, Output, Source
from corntriton.record.signature import Port, Signature

if TYPE_CHECKING:
    from corntriton.record.trace import Trace

_BRANCH = (
    "branch on what is known beforehand (an input present, the length of an input list, an output wanted, "
    "a parameter, the shape of an input), and let a component decide the rest"
)
_COMPUTE = "let a component compute it, and pass it the parts"
_LOOP = 'loop over input lists with request.each("name"), and pass other lists on whole'

_COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_ARITHMETIC = {
    "add": "+", "sub": "-", "mul": "*", "matmul": "@", "truediv": "/", "floordiv": "//", "mod": "%",
    "pow": "**", "lshift": "<<", "rshift": ">>", "and": "&", "or": "|", "xor": "^", "divmod": "divmod()",
}  # fmt: skip
_OTHERS = {
    "bool": ("asks whether {} is true", _BRANCH + "; to ask whether it was left out, write `is None`"),
    "hash": ("uses {} as a key", "use names or positions as keys"),
    "len": ("asks for the length of {}", 'ask for the length of an input list with request.count("name")'),
    "iter": ("iterates over {}", _LOOP),
    "contains": ("searches {} with `in`", _BRANCH),
    "getitem": ("takes a part of {}", _LOOP + ", or let a component take it apart"),
    "setitem": ("assigns into {}", _COMPUTE),
    "delitem": ("deletes from {}", _COMPUTE),
    "call": ("calls {}", "call components: c.name(input=value)"),
    "float": ("makes a float of {}", _BRANCH),
    "int": ("makes an int of {}", _BRANCH),
    "index": ("makes an int of {}", _BRANCH),
    "complex": ("makes a complex number of {}", _BRANCH),
    "str": ("makes text of {}", _COMPUTE),
    "format": ("makes text of {}", _COMPUTE),
    "bytes": ("makes bytes of {}", _COMPUTE),
    "array": ("makes an array of {}", _COMPUTE),
    "neg": ("computes with {} (-)", _COMPUTE),
    "pos": ("computes with {} (+)", _COMPUTE),
    "abs": ("computes with {} (abs)", _COMPUTE),
    "invert": ("computes with {} (~)", _COMPUTE),
    "round": ("computes with {} (round)", _COMPUTE),
}


class Opaque:
    """Base of what refuses to be looked into."""

    __slots__ = ("_trace",)
    _trace: Trace

    def _refuse(self, deed: str, fix: str) -> NoReturn:
        raise self._trace.refusal(
            f"the flow {deed.format(repr(self))}, but no value is known while it runs", fix
        )


def _refusal(deed: str, fix: str) -> Callable[..., NoReturn]:
    def refuse(self: Opaque, *_: object, **__: object) -> NoReturn:
        self._refuse(deed, fix)

    return refuse


def _refuse_everything() -> None:
    for name, sign in _COMPARISONS.items():
        setattr(Opaque, f"__{name}__", _refusal(f"compares {{}} ({sign})", _BRANCH))
    for name, sign in _ARITHMETIC.items():
        for method in (f"__{name}__", f"__r{name}__"):
            setattr(Opaque, method, _refusal(f"computes with {{}} ({sign})", _COMPUTE))
    for name, (deed, fix) in _OTHERS.items():
        setattr(Opaque, f"__{name}__", _refusal(deed, fix))


_refuse_everything()


class Symbol(Opaque):
    """A value: an input of the request, an element of an input list, or an output of an invocation."""

    __slots__ = ("_port", "_source")

    def __init__(self, trace: Trace, source: Source, port: Port) -> None:
        self._trace = trace
        self._source = source
        self._port = port

    def __repr__(self) -> str:
        source = self._source
        if isinstance(source, Output):
            return f"`{source.name}` of `{source.invocation}`"
        if isinstance(source, Element):
            return f"an element of `{source.list}`"
        return f"input `{source.name}`" if isinstance(source, Input) else "a constant"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # Python and numpy look for protocols this way
            raise AttributeError(name)
        self._refuse(f"looks at the attribute `{name}` of {{}}", _COMPUTE)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a request input; consulting it makes it a guard."""
        source = self._source
        if not isinstance(source, Input) or self._port.list:
            self._refuse(
                "asks for the shape of {}",
                'ask for the shape of an input that is no list: request["name"].shape',
            )
        shape = self._trace.consult("shape", source.name)
        if not isinstance(shape, tuple):
            raise self._trace.refusal(
                f"the flow asks for the shape of {self!r}, and the request type does not state it",
                f"add `shape: [...]` to `{source.name}` in the request type",
            )
        return shape

    def chunks(self, by: str) -> Chunked:
        """The value in chunks: the component that takes them runs once per chunk, in order.

        Args:
            by: `sentence`, `tokens:N` (N words each) or `samples:N` (N along the first dimension).
        """
        try:
            text = parse_chunker(by).text
        except ValueError as error:
            raise self._trace.refusal(str(error), "write sentence, tokens:N or samples:N") from None
        port = self._port
        if port.list:
            raise self._trace.refusal(
                f"{self!r} is a list, which has no chunks", "take the chunks of one value"
            )
        if text and (port.dtype != "BYTES" or port.dims != (1,)):
            raise self._trace.refusal(
                f"{self!r} is no text, so it has no `{by}` chunks", "chunk it by samples:N"
            )
        if not text and (port.dtype == "BYTES" or not port.dims):
            raise self._trace.refusal(
                f"{self!r} is no array of numbers, so it has no `{by}` chunks", "chunk it by sentence"
            )
        return Chunked(self, by, port if text else joined(port))


class Chunked(Opaque):
    """A value in chunks, on its way into a component."""

    __slots__ = ("_by", "_port", "_symbol")

    def __init__(self, symbol: Symbol, by: str, port: Port) -> None:
        self._trace = symbol._trace
        self._symbol = symbol
        self._by = by
        self._port = port

    def __repr__(self) -> str:
        return f"{self._symbol!r} in chunks"


class Handle(Opaque):
    """A call of a component, with one attribute per output."""

    __slots__ = ("_invocation", "_signature", "_stream")

    def __init__(self, trace: Trace, invocation: str, signature: Signature, stream: bool) -> None:
        self._trace = trace
        self._invocation = invocation
        self._signature = signature
        self._stream = stream

    def __repr__(self) -> str:
        return f"the call of `{self._invocation}`"

    def __getattr__(self, name: str) -> Symbol:
        port = self._signature.outputs.get(name)
        if port is not None:
            return Symbol(self._trace, Output(self._invocation, name), joined(port) if self._stream else port)
        if name.startswith("__"):
            raise AttributeError(name)
        advice = choose(name, self._signature.outputs)
        raise self._trace.refusal(
            f"`{self._invocation}` has no output `{name}`", f"use an output it has: {advice}"
        )

    def _refuse(self, deed: str, fix: str) -> NoReturn:
        raise self._trace.refusal(
            f"the flow uses {self!r} as if it were a value", f"use one of its outputs: {outputs_of(self)}"
        )


def outputs_of(handle: Handle) -> str:
    """The outputs of a call, as a flow writes them."""
    return ", ".join(f".{name}" for name in handle._signature.outputs)


def joined(port: Port) -> Port:
    """The port of a stream's chunks put together: arrays grow along their first dimension."""
    if port.dtype == "BYTES" or port.list or not port.dims:
        return port
    return replace(port, dims=(-1, *port.dims[1:]))
