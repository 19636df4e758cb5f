"""Replays a flat path in plain Python, one invocation after the other: values enter, outputs leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from corntriton.errors import CorntritonError
from corntriton.record.joining import cut, join
from corntriton.record.path import Argument, Chunks, Element, Input, Invocation, Items, Output, Path, Spread
from corntriton.record.signature import ModelSignature, Signature

# Inputs by name enter, outputs by name leave; a streaming component may give an iterable of such.
Component = Callable[[dict[str, Any]], "Mapping[str, Any] | Iterable[Mapping[str, Any]]"]


class _Missing:
    """The value of an optional output that a component did not give."""


_MISSING = _Missing()


def evaluate(
    path: Path, model: ModelSignature, values: Mapping[str, Any], components: Mapping[str, Component]
) -> dict[str, Any]:
    """Replays a flat path.

    Args:
        path: A flat path, as `expand` gives it, that the request matches.
        model: The ports.
        values: The request's inputs; a list for a list input.
        components: What to call, by name.

    Returns:
        The model's outputs; streams are joined.
    """
    evaluation = Evaluation(model, values, components)
    for invocation in path.invocations:
        evaluation.run(invocation)
    return evaluation.outputs(path)


class Evaluation:
    """The values of one request: what it brought, and what its invocations gave."""

    def __init__(
        self, model: ModelSignature, values: Mapping[str, Any], components: Mapping[str, Component]
    ) -> None:
        self._model = model
        self._values = values
        self._components = components
        self._results: dict[str, Mapping[str, Any]] = {}

    def run(self, invocation: Invocation) -> None:
        """Calls the component; once per chunk where an input arrives in chunks."""
        name = invocation.component
        if name not in self._components:
            raise CorntritonError(f"there is no `{name}` among the components given")
        signature, component = self._model.components[name], self._components[name]
        inputs = {
            each: value for each, value in self._arguments(invocation.inputs).items() if value is not _MISSING
        }
        chunked = [each for each, argument in invocation.inputs.items() if isinstance(argument, Chunks)]
        calls = [inputs]
        for each in chunked:
            calls = [{**inputs, each: chunk} for chunk in inputs[each]] if each in inputs else []
        pieces = [piece for call in calls for piece in _pieces(component(call))]
        emits = bool(chunked) or signature.streaming
        self._results[invocation.id] = _joined(pieces, signature) if emits else pieces[0]

    def outputs(self, path: Path) -> dict[str, Any]:
        """The outputs of the path."""
        return {name: value for name, value in self._arguments(path.outputs).items() if value is not _MISSING}

    def _arguments(self, arguments: Mapping[str, Argument]) -> dict[str, Any]:
        return {name: self._value(argument) for name, argument in arguments.items()}

    def _value(self, argument: Argument | Spread) -> Any:
        if isinstance(argument, Input):
            return self._values[argument.name]
        if isinstance(argument, Element):
            return self._values[argument.list][argument.index]
        if isinstance(argument, Output):
            return self._results[argument.invocation].get(argument.name, _MISSING)
        if isinstance(argument, Items):
            return [self._value(item) for item in argument.items]
        if isinstance(argument, Chunks):
            whole = self._value(argument.source)
            return _MISSING if whole is _MISSING else cut(whole, argument.by)
        if isinstance(argument, Spread):
            raise CorntritonError("the path is not flat; expand it first")
        return argument.value


def _pieces(given: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [given] if isinstance(given, Mapping) else list(given)


def _joined(pieces: list[Mapping[str, Any]], signature: Signature) -> dict[str, Any]:
    joined = {}
    for name, port in signature.outputs.items():
        chunks = [piece[name] for piece in pieces if name in piece]
        if chunks or not port.optional:
            joined[name] = join(chunks, port)
    return joined
