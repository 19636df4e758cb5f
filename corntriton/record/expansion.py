"""Unrolls the mapped invocations of a path for given list lengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from corntriton.record.path import Argument, Chunks, Element, Invocation, Items, Output, Path, Source, Spread

# The element that each list stands at.
Position = Mapping[str, int]


def expand(path: Path, counts: Mapping[str, int]) -> Path:
    """The flat path: one invocation per element of the list that an invocation is mapped over.

    Args:
        path: A recorded path.
        counts: The length of each list that the path is mapped over.
    """
    if not lists_of(path):
        return path
    return _Expansion(path, counts).run()


def lists_of(path: Path) -> tuple[str, ...]:
    """The lists that a path is mapped over: those whose lengths its expansion depends on."""
    found = {invocation.over: None for invocation in path.invocations if invocation.over is not None}
    arguments = [argument for invocation in path.invocations for argument in invocation.inputs.values()]
    for argument in (*arguments, *path.outputs.values()):
        if isinstance(argument, Items):
            found.update({item.over: None for item in argument.items if isinstance(item, Spread)})
    return tuple(found)


class _Expansion:
    def __init__(self, path: Path, counts: Mapping[str, int]) -> None:
        self._path = path
        self._counts = counts
        self._over = {invocation.id: invocation.over for invocation in path.invocations}

    def run(self) -> Path:
        invocations: list[Invocation] = []
        for invocation in self._path.invocations:
            if invocation.over is None:
                invocations.append(replace(invocation, inputs=self._arguments(invocation.inputs, {})))
                continue
            for index in range(self._counts[invocation.over]):
                inputs = self._arguments(invocation.inputs, {invocation.over: index})
                invocations.append(Invocation(f"{invocation.id}[{index}]", invocation.component, inputs))
        return Path(self._path.guards, tuple(invocations), self._arguments(self._path.outputs, {}))

    def _arguments(self, arguments: Mapping[str, Argument], at: Position) -> dict[str, Argument]:
        return {name: self._argument(argument, at) for name, argument in arguments.items()}

    def _argument(self, argument: Argument, at: Position) -> Argument:
        if isinstance(argument, Items):
            return Items(tuple(source for item in argument.items for source in self._item(item, at)))
        if isinstance(argument, Chunks):
            return Chunks(self._source(argument.source, at), argument.by)
        return self._source(argument, at)

    def _item(self, item: Source | Spread, at: Position) -> list[Source]:
        if not isinstance(item, Spread):
            return [self._source(item, at)]
        turns = ({**at, item.over: index} for index in range(self._counts[item.over]))
        return [self._source(source, turn) for turn in turns for source in item.items]

    def _source(self, source: Source, at: Position) -> Source:
        if isinstance(source, Element) and source.index is None:
            return Element(source.list, at[source.list])
        if isinstance(source, Output):
            over = self._over[source.invocation]
            if over is not None:
                return Output(f"{source.invocation}[{at[over]}]", source.name)
        return source
