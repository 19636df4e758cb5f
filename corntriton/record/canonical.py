"""Compares flat paths: equal are those that make the same calls with the same arguments in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping

from corntriton.record.path import Argument, Chunks, Const, Invocation, Items, Output, Path, Spread


def same_flat(one: Path, other: Path) -> bool:
    """Whether two flat paths differ in nothing but ids and the order of their invocations."""
    if len(one.invocations) != len(other.invocations):
        return False
    forms = _Forms()
    return forms.of(one) == forms.of(other)


class _Forms:
    """Gives equal numbers to equal calls.

    The second of two equal calls gets another number than the first: a component that samples may
    answer differently, so which of them a later call uses is part of the path.
    """

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def of(self, path: Path) -> Hashable:
        seen: Counter[Hashable] = Counter()
        numbers: dict[str, int] = {}
        for invocation in path.invocations:
            call = self._call(invocation, numbers)
            seen[call] += 1
            numbers[invocation.id] = self._numbers.setdefault((call, seen[call]), len(self._numbers))
        outputs = self._arguments(path.outputs, numbers)
        guards = tuple((guard, type(guard.value)) for guard in path.guards)
        return guards, frozenset(numbers.values()), outputs

    def _call(self, invocation: Invocation, numbers: Mapping[str, int]) -> Hashable:
        return invocation.component, self._arguments(invocation.inputs, numbers)

    def _arguments(self, arguments: Mapping[str, Argument], numbers: Mapping[str, int]) -> Hashable:
        return frozenset((name, self._form(argument, numbers)) for name, argument in arguments.items())

    def _form(self, argument: Argument | Spread, numbers: Mapping[str, int]) -> Hashable:
        if isinstance(argument, Output):
            return Output, numbers[argument.invocation], argument.name
        if isinstance(argument, Items):
            return Items, tuple(self._form(item, numbers) for item in argument.items)
        if isinstance(argument, Chunks):
            return Chunks, argument.by, self._form(argument.source, numbers)
        if isinstance(argument, Const):  # 0.0 equals -0.0, and True equals 1
            return Const, repr(argument.value)
        return argument
