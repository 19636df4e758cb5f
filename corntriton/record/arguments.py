"""Turns what a flow passes on, into arguments of the path, checked against the port that takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from corntriton.record.path import Argument, Chunks, Const, Items, Source
from corntriton.record.signature import Port
from corntriton.record.symbols import Chunked, Handle, Opaque, Symbol, outputs_of

if TYPE_CHECKING:
    from corntriton.record.trace import Trace

_FLOATS = ("FP16", "BF16", "FP32", "FP64")
_RANGES = {
    **{f"INT{bits}": range(-(2 ** (bits - 1)), 2 ** (bits - 1)) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": range(2**bits) for bits in (8, 16, 32, 64)},
}
_ONE_BY_ONE = 'call the component once per element: [c.name(...) for x in request.each("name")]'


def bind_input(value: Any, port: Port, place: str, trace: Trace) -> Argument:
    """The argument that a value of the flow stands for, as a component's input.

    Args:
        value: A symbol, chunks of one, a list of symbols or constants, or a constant; not None.
        port: What takes it.
        place: The port, as messages name it.
        trace: The recording under way.

    Raises:
        RecordError: The port cannot take the value.
    """
    if not isinstance(value, Chunked):
        return bind(value, port, place, trace)
    _check_edge(repr(value), value._port, port, place, trace)
    if value._port.dims[0] == -1 and port.dims[0] != -1:
        what = f"{place} takes {port.dims[0]} rows, and the last chunk may have fewer"
        raise trace.refusal(what, "declare its first dim as -1")
    return Chunks(_source(value._symbol, trace), value._by)


def bind(value: Any, port: Port, place: str, trace: Trace) -> Argument:
    """The same where chunks have no place: elements of lists, and outputs of the model."""
    if isinstance(value, Symbol):
        _check_edge(repr(value), value._port, port, place, trace)
        return _source(value, trace)
    if isinstance(value, Handle):
        raise trace.refusal(
            f"{place} is given {value!r} as a whole", f"pass one of its outputs: {outputs_of(value)}"
        )
    if isinstance(value, Chunked):
        fix = "pass the value itself; only an input of a component takes chunks"
        raise trace.refusal(f"{place} is given {value!r}", fix)
    if port.list:
        return _items(value, port, place, trace)
    if isinstance(value, (list, tuple)):
        return _row(value, port, place, trace)
    return Const(_scalar(value, port, place, trace))


def _items(values: Any, port: Port, place: str, trace: Trace) -> Items:
    if not isinstance(values, (list, tuple)):
        raise trace.refusal(f"{place} takes a list, and is given {_name(values)}", "pass a list: [value]")
    element = replace(port, list=False, optional=False)
    items: list[Source] = []
    for number, value in enumerate(values):
        here = f"element {number} of {place}"
        if value is None:
            raise trace.refusal(f"{here} is None", "leave it out of the list")
        item = bind(value, element, here, trace)
        assert not isinstance(item, (Items, Chunks))  # the element's port is no list
        items.append(item)
    return Items(tuple(items))


def _source(symbol: Symbol, trace: Trace) -> Source:
    if symbol._trace is not trace:
        raise trace.refusal(
            f"{symbol!r} belongs to an earlier request",
            "keep nothing between requests in globals or default arguments",
        )
    return symbol._source


def _check_edge(name: str, source: Port, target: Port, place: str, trace: Trace) -> None:
    if source.list and not target.list:
        raise trace.refusal(f"{place} takes one value, and is given {name}, which is a list", _ONE_BY_ONE)
    if target.list and not source.list:
        raise trace.refusal(
            f"{place} takes a list, and is given {name}, which is one value", "pass a list: [value]"
        )
    if source.dtype != target.dtype:
        fix = "convert it in a component, or correct the declared dtype"
        raise trace.refusal(
            f"{place} takes {target.dtype}, and is given {name}, which is {source.dtype}", fix
        )
    if not _dims_agree(source.dims, target.dims):
        fix = "reshape it in a component, or correct the declared dims"
        dims = f"dims {[*target.dims]}, and is given {name}, which has {[*source.dims]}"
        raise trace.refusal(f"{place} takes {dims}", fix)
    if source.optional and not target.optional:
        fix = "declare that output as always given, or the input as optional"
        raise trace.refusal(f"{place} is required, and {name} may be missing", fix)


def _dims_agree(source: tuple[int, ...], target: tuple[int, ...]) -> bool:
    return len(source) == len(target) and all(
        ours == theirs or -1 in (ours, theirs) for ours, theirs in zip(source, target, strict=True)
    )


def _row(values: Sequence[Any], port: Port, place: str, trace: Trace) -> Const:
    if any(isinstance(value, (Opaque, list, tuple)) for value in values):
        raise trace.refusal(f"{place} takes one value, and is given a list", _ONE_BY_ONE)
    if not _dims_agree((len(values),), port.dims):
        what = f"{place} takes dims {[*port.dims]}, and is given {len(values)} constants"
        raise trace.refusal(what, "pass as many as it takes")
    return Const(tuple(_number_or_text(value, port, place, trace) for value in values))


def _scalar(value: Any, port: Port, place: str, trace: Trace) -> str | int | float | bool:
    constant = _number_or_text(value, port, place, trace)
    if port.dims and not _dims_agree((1,), port.dims):
        raise trace.refusal(
            f"{place} takes dims {[*port.dims]}, and is given {_name(value)}", "pass a tuple of constants"
        )
    return constant


def _number_or_text(value: Any, port: Port, place: str, trace: Trace) -> str | int | float | bool:
    """The constant as the port's dtype has it, so that equal constants of a port are the same constant."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if port.dtype == "BYTES" and isinstance(value, str):
        return str(value)
    if port.dtype == "BOOL" and isinstance(value, bool):
        return value
    if port.dtype in _FLOATS and number:
        return float(value)
    if port.dtype in _RANGES and number and isinstance(value, int):
        if value not in _RANGES[port.dtype]:
            raise trace.refusal(
                f"{place} takes {port.dtype}, which cannot hold {value}", "pass a number that it can hold"
            )
        return int(value)
    kind = {"BYTES": "a str", "BOOL": "a bool"}.get(
        port.dtype, "an int" if port.dtype in _RANGES else "a number"
    )
    raise trace.refusal(
        f"{place} takes {port.dtype}, and is given {_name(value)}", f"pass {kind} or a value of the request"
    )


def _name(value: object) -> str:
    if isinstance(value, (str, int, float)):
        return f"the constant {value!r}"
    return f"a {type(value).__name__}"
