"""What a flow sees: the request that it may ask for facts, and the components that it may call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from corntriton.record.errors import choose
from corntriton.record.facts import OUTPUTS_PARAMETER
from corntriton.record.path import Element, Input, Scalar
from corntriton.record.signature import Port
from corntriton.record.symbols import Handle, Symbol

if TYPE_CHECKING:
    from corntriton.record.trace import Trace


class Request:
    """The request, as far as it is known before anything is computed.

    Example:
        `"audio" in request`, `request["text"]`, `request.get("text")`, `request.each("images")`,
        `request.count("images")`, `request["audio"].shape`, `request.wants("speech")`,
        `request.parameter("style", "long")`
    """

    __slots__ = ("_trace",)

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def __contains__(self, name: str) -> bool:
        port = self._port(name)
        return not port.optional or self._trace.consult("present", name) is True

    def __getitem__(self, name: str) -> Symbol:
        if name not in self:
            raise self._trace.refusal(
                f"the flow takes input `{name}`, which this request lacks",
                f'ask first: `if "{name}" in request`, or take request.get("{name}")',
            )
        return Symbol(self._trace, Input(name), replace(self._port(name), optional=False))

    def get(self, name: str, default: Any = None) -> Any:
        """The input, or the default when the request lacks it."""
        present = name in self
        return self[name] if present else default

    def each(self, name: str) -> Iterator[Symbol]:
        """The elements of an input list; none when the request lacks it."""
        self._list_port(name, "each")
        return self._turns(name)

    def count(self, name: str) -> int:
        """The length of an input list; requests of another length take another path."""
        self._list_port(name, "count")
        return self._trace.consult_count(name)

    def wants(self, output: str) -> bool:
        """Whether the client asked for the output."""
        outputs = self._trace.model.ports.outputs
        if output not in outputs:
            advice = choose(output, outputs)
            raise self._trace.refusal(
                f"the model has no output `{output}`", f"ask for an output it has: {advice}"
            )
        return self._trace.consult("wants", output) is True

    def parameter(self, name: str, default: Scalar = None) -> Any:
        """A parameter of the request, or the default when it has none of this name."""
        if name == OUTPUTS_PARAMETER:
            what = f"the parameter `{name}` is taken: by it clients name the outputs they want"
            raise self._trace.refusal(what, "give the parameter another name, or ask request.wants(...)")
        value = self._trace.consult("parameter", name)
        return default if value is None else value

    def __iter__(self) -> NoReturn:
        raise self._trace.refusal(
            "the flow iterates over the request", 'name the inputs: `"text" in request`'
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        known = ("get", "each", "count", "wants", "parameter")
        raise self._trace.refusal(
            f"a request has no `{name}`", f'inputs are request["name"]; else: {choose(name, known)}'
        )

    def _port(self, name: str) -> Port:
        inputs = self._trace.model.ports.inputs
        if name not in inputs:
            raise self._trace.refusal(
                f"the model has no input `{name}`", f"use an input it has: {choose(name, inputs)}"
            )
        return inputs[name]

    def _list_port(self, name: str, method: str) -> None:
        if not self._port(name).list:
            fix = f'take it as request["{name}"], or declare it with `list: true`'
            raise self._trace.refusal(f"input `{name}` is no list, so it has no {method}()", fix)

    def _turns(self, name: str) -> Iterator[Symbol]:
        port = replace(self._port(name), list=False, optional=False)
        for index in range(self._trace.consult_each(name)):
            with self._trace.turn(name, index):
                yield Symbol(self._trace, Element(name, index), port)


class Components:
    """The components of the model: c.name(input=value).output."""

    __slots__ = ("_trace",)

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def __getattr__(self, name: str) -> Callable[..., Handle]:
        known = self._trace.model.components
        if name not in known:
            if name.startswith("__"):
                raise AttributeError(name)
            raise self._trace.refusal(
                f"the model has no component `{name}`", f"call one it has: {choose(name, known)}"
            )

        def call(*positional: Any, **inputs: Any) -> Handle:
            if positional:
                names = ", ".join(f"{each}=..." for each in known[name].inputs)
                raise self._trace.refusal(
                    f"`{name}` is given inputs without names", f"name them: c.{name}({names})"
                )
            return self._trace.invoke(name, inputs)

        return call
