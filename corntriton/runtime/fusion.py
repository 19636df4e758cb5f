"""Joins the invocations of a path that one executor runs: a flat path and its targets in, fewer calls out.

    a(E) ─> b(E) ─> c(F) ─> d(E)        becomes        [a b](E) ─> c(F) ─> d(E)

Two invocations are in one call if they run on the same executor and wait for the same invocations
elsewhere, directly or through others. So no invocation waits for what it does not need, and calls never
wait for each other in a circle: along every edge between calls, the set of what is awaited grows.

A consumer of chunks whose producer runs in another call is a call of its own, made once per chunk, because
a call cannot be fed while it runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from corntriton.record.codec import path_to_json
from corntriton.record.path import (
    Argument,
    Chunks,
    Const,
    Element,
    Input,
    Invocation,
    Items,
    Output,
    Path,
    Source,
    Spread,
)
from corntriton.record.signature import ModelSignature, Port, Signature
from corntriton.runtime.settings import Target
from corntriton.runtime.tensors import Array


@dataclass(frozen=True)
class Group:
    """A part of a path that one call of an executor runs.

    Attributes:
        path: The sub-path as JSON, in bytes: invocations of the executor's members, its inputs numbered.
        members: The components that it visits.
        ports: Of these inputs.
        sequenced: It is a consumer of chunks that keeps state.
        feeds: Other calls wait for its outputs, which therefore leave as soon as they are there.
        whole: Its outputs that come in one piece.
    """

    path: Array
    members: frozenset[str]
    ports: Mapping[str, Port]
    sequenced: bool
    feeds: bool
    whole: frozenset[str]


@dataclass(frozen=True)
class FusedPath:
    """A flat path whose invocations are the calls to make.

    Attributes:
        path: Invocations of groups have outputs `<invocation>.<output>`.
        model: The ports of all that it invokes, groups included.
        targets: What each invocation is a call of.
        groups: By id, the invocations that are groups.
    """

    path: Path
    model: ModelSignature
    targets: Mapping[str, str]
    groups: Mapping[str, Group]


def fuse(
    path: Path, model: ModelSignature, stops: Mapping[str, str], targets: Mapping[str, Target]
) -> FusedPath:
    """Joins what can be one call.

    Args:
        path: A flat path.
        model: The ports.
        stops: The target of each invocation.
        targets: By name; those that have members are executors of several components.
    """
    return _Fusion(path, model, stops, targets).run()


class _Call(NamedTuple):
    """Equal for the invocations that are one call.

    Attributes:
        target: What is called.
        alone: The number of the only invocation in it, if it must be the only one.
        awaited: The numbers of the invocations elsewhere that have to be through, as bits.
    """

    target: str
    alone: int | None
    awaited: int


class _Fusion:
    def __init__(
        self, path: Path, model: ModelSignature, stops: Mapping[str, str], targets: Mapping[str, Target]
    ) -> None:
        self._path = path
        self._model = model
        self._targets = targets
        self._by_id = {invocation.id: invocation for invocation in path.invocations}
        self._index = {invocation.id: index for index, invocation in enumerate(path.invocations)}
        self._before: list[int] = []  # of each invocation, all that it depends on, as bits
        self._calls: list[_Call] = []
        self._emits: set[str] = set()
        for invocation in path.invocations:
            self._place(invocation, stops[invocation.id])
        self._groups: dict[_Call, list[Invocation]] = {}
        for invocation, call in zip(path.invocations, self._calls, strict=True):
            self._groups.setdefault(call, []).append(invocation)
        self._names = self._name_calls()

    def run(self) -> FusedPath:
        """In the order of what calls wait for."""
        invocations: list[Invocation] = []
        groups: dict[str, Group] = {}
        signatures = dict(self._model.components)
        for call, members in sorted(self._groups.items(), key=lambda item: item[0].awaited.bit_count()):
            name = self._names[call]
            if self._is_group(call):
                part = _Part(self, name, call, members)
                invocations.append(part.invocation)
                groups[name], signatures[name] = part.group, part.signature
            else:
                invocations.append(replace(members[0], inputs=self._outside(members[0].inputs)))
        outputs = self._outside(self._path.outputs)
        return FusedPath(
            Path(self._path.guards, tuple(invocations), outputs),
            ModelSignature(self._model.name, self._model.ports, signatures),
            {self._names[call]: call.target for call in self._groups},
            groups,
        )

    def _place(self, invocation: Invocation, target: str) -> None:
        sources = [output for argument in invocation.inputs.values() for output in outputs_of(argument)]
        needs = {self._index[output.invocation] for output in sources}
        streams = [argument for argument in invocation.inputs.values() if isinstance(argument, Chunks)]
        fed_by = {output.invocation for argument in streams for output in outputs_of(argument)} & self._emits
        if streams or self._model.components[invocation.component].streaming:
            self._emits.add(invocation.id)
        call = _Call(target, None, self._awaited(needs, target))
        apart = any(self._calls[self._index[producer]] != call for producer in fed_by)
        if apart or not self._targets[target].members:
            call = _Call(target, len(self._calls), self._awaited(needs, None))
        self._calls.append(call)
        self._before.append(self._everything(needs))

    def _awaited(self, needs: Iterable[int], home: str | None) -> int:
        """What is awaited from elsewhere by an invocation of the executor `home`, which may be none."""
        bits = 0
        for need in needs:
            call = self._calls[need]
            inside = call.target == home and call.alone is None
            bits |= call.awaited if inside else self._before[need] | 1 << need
        return bits

    def _everything(self, needs: Iterable[int]) -> int:
        bits = 0
        for need in needs:
            bits |= self._before[need] | 1 << need
        return bits

    def _name_calls(self) -> dict[_Call, str]:
        """Groups are named after their components, others keep the name of their invocation."""
        names: dict[_Call, str] = {}
        for call, members in self._groups.items():
            if not self._is_group(call):
                names[call] = members[0].id
                continue
            name = stem = "+".join(dict.fromkeys(member.component for member in members))
            number = 1
            while name in self._index or name in self._model.components or name in names.values():
                number += 1
                name = f"{stem}.{number}"
            names[call] = name
        return names

    def _is_group(self, call: _Call) -> bool:
        return bool(self._targets[call.target].members)

    def call_of(self, invocation: str) -> _Call:
        """The call that an invocation is in."""
        return self._calls[self._index[invocation]]

    def emits(self, invocation: str) -> bool:
        """Whether its outputs come in pieces."""
        return invocation in self._emits

    def is_fed(self, argument: Argument) -> bool:
        """Whether an argument takes pieces as they come."""
        return isinstance(argument, Chunks) and any(
            output.invocation in self._emits for output in outputs_of(argument)
        )

    def component(self, invocation: str) -> Signature:
        """The ports of what an invocation calls."""
        return self._model.components[self._by_id[invocation].component]

    def port(self, source: Source) -> Port:
        """Of a source that is no constant."""
        if isinstance(source, Output):
            return self.component(source.invocation).outputs[source.name]
        assert isinstance(source, (Input, Element))  # by the caller
        name = source.name if isinstance(source, Input) else source.list
        port = self._model.ports.inputs[name]
        return port if isinstance(source, Input) else replace(port, list=False)

    def member(self, call: _Call, component: str) -> str:
        """What the executor calls a component of this model."""
        return self._targets[call.target].members[component]

    def is_stateful(self, call: _Call, component: str) -> bool:
        """Whether it keeps state between chunks."""
        return component in self._targets[call.target].stateful_members

    def used_outside(self, call: _Call) -> tuple[dict[Output, None], bool]:
        """The outputs of a call that are read outside of it, and whether by other calls."""
        others = [each for each in self._path.invocations if self.call_of(each.id) != call]
        by_calls = [
            output for each in others for argument in each.inputs.values() for output in outputs_of(argument)
        ]
        by_client = [output for argument in self._path.outputs.values() for output in outputs_of(argument)]
        mine = [output for output in by_calls if self.call_of(output.invocation) == call]
        found = [*mine, *(output for output in by_client if self.call_of(output.invocation) == call)]
        return dict.fromkeys(found), bool(mine)

    def outside(self, source: Source) -> Source:
        """A source as other calls see it."""
        if isinstance(source, Output) and self._is_group(call := self.call_of(source.invocation)):
            return Output(self._names[call], f"{source.invocation}.{source.name}")
        return source

    def _outside(self, arguments: Mapping[str, Argument]) -> dict[str, Argument]:
        return {name: _mapped(argument, self.outside) for name, argument in arguments.items()}


class _Part:
    """A group while it is made: numbers the sources that come from outside."""

    def __init__(self, fusion: _Fusion, name: str, call: _Call, members: list[Invocation]) -> None:
        self._fusion = fusion
        self._call = call
        self._inputs: dict[str, Argument] = {}
        self._ports: dict[str, Port] = {}
        self._numbers: dict[Source, str] = {}
        inside = tuple(self._inside(member) for member in members)
        used, feeds = fusion.used_outside(call)
        outputs = {f"{output.invocation}.{output.name}": output for output in used}
        text = json.dumps(path_to_json(Path((), inside, outputs)), separators=(",", ":")).encode()
        sequenced = call.alone is not None and fusion.is_stateful(call, members[0].component)
        whole = frozenset(key for key, output in outputs.items() if not fusion.emits(output.invocation))
        visited = frozenset(member.component for member in members)
        self.group = Group(np.frombuffer(text, np.uint8), visited, self._ports, sequenced, feeds, whole)
        self.invocation = Invocation(name, name, self._inputs)
        ports = {key: fusion.port(output) for key, output in outputs.items()}
        self.signature = Signature(
            {key: replace(port, optional=True) for key, port in self._ports.items()}, ports, streaming=True
        )

    def _inside(self, member: Invocation) -> Invocation:
        inputs: dict[str, Argument] = {}
        for name, argument in member.inputs.items():
            if self._call.alone is not None and self._fusion.is_fed(argument):
                port = self._fusion.component(member.id).inputs[name]
                inputs[name] = self._number(_mapped(argument, self._fusion.outside), port)
            else:
                inputs[name] = _mapped(argument, self._source)
        return Invocation(member.id, self._fusion.member(self._call, member.component), inputs)

    def _source(self, source: Source) -> Source:
        if isinstance(source, Const):
            return source
        if isinstance(source, Output) and self._fusion.call_of(source.invocation) == self._call:
            return source
        if source not in self._numbers:
            number = self._number(self._fusion.outside(source), self._fusion.port(source))
            self._numbers[source] = number.name
        return Input(self._numbers[source])

    def _number(self, argument: Argument, port: Port) -> Input:
        name = str(len(self._inputs))
        self._inputs[name], self._ports[name] = argument, port
        return Input(name)


def outputs_of(argument: Argument) -> Iterator[Output]:
    """The outputs of invocations that an argument of a flat path reads."""
    if isinstance(argument, Output):
        yield argument
    elif isinstance(argument, Chunks):
        yield from outputs_of(argument.source)
    elif isinstance(argument, Items):
        for item in argument.items:
            yield from outputs_of(_flat(item))


def _mapped(argument: Argument, change: Callable[[Source], Source]) -> Argument:
    if isinstance(argument, Chunks):
        return Chunks(change(argument.source), argument.by)
    if isinstance(argument, Items):
        return Items(tuple(change(_flat(item)) for item in argument.items))
    return change(argument)


def _flat(item: Source | Spread) -> Source:
    assert not isinstance(item, Spread)  # expand has unrolled them
    return item
