"""Makes a path with mapped invocations of a trace that saw two elements of each list.

An invocation belongs to an element of a list when it was made in that element's turn of a loop, or when
its arguments come from that element alone. What belongs to the first element and what belongs to the
second must be the same but for the element; then the two become one invocation mapped over the list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set

from corntriton.record.path import (
    Argument,
    Chunks,
    Element,
    Invocation,
    Items,
    Output,
    Path,
    Source,
    Spread,
)

Turn = tuple[str, int]
# The element that each list stands at, while an argument is made independent of it.
Position = Mapping[str, int]


class NotAMapError(Exception):
    """The turns of a loop are not alike: the loop is no map."""


def generalise(path: Path, turns: Sequence[Sequence[Turn]], lists: Set[str]) -> Path:
    """The path for any number of elements, as far as a trace of two can tell.

    Args:
        path: A flat path, traced with two elements in each of the lists.
        turns: For each invocation, the turns of loops that it was made in.
        lists: The lists to map over; others keep their elements one by one.

    Raises:
        NotAMapError: The trace is not made of equal turns.
    """
    return _Generalisation(path, turns, lists).run()


class _Generalisation:
    def __init__(self, path: Path, turns: Sequence[Sequence[Turn]], lists: Set[str]) -> None:
        self._path = path
        self._lists = lists
        self._owners: dict[str, Turn | None] = {}
        self._names: dict[str, str] = {}
        for invocation, made_in in zip(path.invocations, turns, strict=True):
            self._owners[invocation.id] = self._owner(invocation, made_in)

    def run(self) -> Path:
        twins = self._twins()
        self._name(twins)
        merged: list[Invocation] = []
        for invocation in self._path.invocations:
            if invocation.id in twins:
                merged.append(self._merge(invocation, twins[invocation.id]))
            elif self._owners[invocation.id] is None:
                inputs = self._arguments(invocation.inputs, {})
                merged.append(Invocation(self._names[invocation.id], invocation.component, inputs))
        return Path(self._path.guards, tuple(merged), self._arguments(self._path.outputs, {}))

    def _owner(self, invocation: Invocation, made_in: Sequence[Turn]) -> Turn | None:
        """The element that an invocation belongs to; None when it belongs to none."""
        found = {turn for turn in made_in if turn[0] in self._lists}
        for argument in invocation.inputs.values():
            elements = {turn for source in _sources(argument) if (turn := self._element(source))}
            per_list = Counter(name for name, _ in elements)
            # An argument with both elements of a list takes the whole list, and belongs to neither.
            found |= {turn for turn in elements if per_list[turn[0]] == 1}
        if len(found) > 1:
            raise NotAMapError
        return found.pop() if found else None

    def _element(self, source: Source | Spread) -> Turn | None:
        if isinstance(source, Element) and source.list in self._lists and source.index is not None:
            return source.list, source.index
        return self._owners[source.invocation] if isinstance(source, Output) else None

    def _twins(self) -> dict[str, Invocation]:
        """For each invocation or both: from the id of the one that came first to the other one."""
        owned: dict[Turn, list[Invocation]] = {(name, index): [] for name in self._lists for index in (0, 1)}
        for invocation in self._path.invocations:
            owner = self._owners[invocation.id]
            if owner is not None:
                owned[owner].append(invocation)
        twins: dict[str, Invocation] = {}
        for name in self._lists:
            firsts, seconds = owned[name, 0], owned[name, 1]
            if [each.component for each in firsts] != [each.component for each in seconds]:
                raise NotAMapError
            twins.update({first.id: second for first, second in zip(firsts, seconds, strict=True)})
        return twins

    def _name(self, twins: Mapping[str, Invocation]) -> None:
        calls: Counter[str] = Counter()
        for invocation in self._path.invocations:
            if invocation.id in twins or self._owners[invocation.id] is None:
                calls[invocation.component] += 1
                number = calls[invocation.component]
                name = invocation.component if number == 1 else f"{invocation.component}.{number}"
                self._names[invocation.id] = name
                if invocation.id in twins:
                    self._names[twins[invocation.id].id] = name

    def _merge(self, first: Invocation, second: Invocation) -> Invocation:
        owner = self._owners[first.id]
        assert owner is not None  # it has a twin
        inputs = self._arguments(first.inputs, {owner[0]: 0})
        if inputs != self._arguments(second.inputs, {owner[0]: 1}):
            raise NotAMapError
        return Invocation(self._names[first.id], first.component, inputs, owner[0])

    def _arguments(self, arguments: Mapping[str, Argument], at: Position) -> dict[str, Argument]:
        return {name: self._argument(argument, at) for name, argument in arguments.items()}

    def _argument(self, argument: Argument, at: Position) -> Argument:
        if isinstance(argument, Items):
            return Items(tuple(self._segments(argument.items, at)))
        if isinstance(argument, Chunks):
            return Chunks(self._source(argument.source, at), argument.by)
        return self._source(argument, at)

    def _source(self, source: Source, at: Position) -> Source:
        turn = self._element(source)
        if turn is not None and at.get(turn[0]) != turn[1]:
            raise NotAMapError
        if isinstance(source, Output):
            return Output(self._names[source.invocation], source.name)
        return Element(source.list) if turn is not None and isinstance(source, Element) else source

    def _segments(self, items: Sequence[Source | Spread], at: Position) -> Iterator[Source | Spread]:
        start = 0
        while start < len(items):
            spread = self._spread(items, start, at)
            if spread is None:
                item = items[start]
                assert not isinstance(item, Spread)  # a trace has none
                yield self._source(item, at)
                start += 1
            else:
                yield spread
                start += 2 * len(spread.items)

    def _spread(self, items: Sequence[Source | Spread], start: int, at: Position) -> Spread | None:
        """The shortest run from here on that occurs twice in a row, once per element of a list."""
        for size in range(1, (len(items) - start) // 2 + 1):
            first, second = items[start : start + size], items[start + size : start + 2 * size]
            lists = {turn[0] for item in first if (turn := self._element(item)) and turn[1] == 0}
            for name in sorted(lists):
                try:
                    block = self._block(first, {**at, name: 0})
                    if block == self._block(second, {**at, name: 1}):
                        return Spread(name, block)
                except NotAMapError:
                    continue
        return None

    def _block(self, items: Sequence[Source | Spread], at: Position) -> tuple[Source, ...]:
        return tuple(self._source(item, at) for item in items if not isinstance(item, Spread))


def _sources(argument: Argument) -> Sequence[Source | Spread]:
    if isinstance(argument, Items):
        return argument.items
    return (argument.source,) if isinstance(argument, Chunks) else (argument,)
