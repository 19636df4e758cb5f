"""A flat path made ready to be replayed: numbered steps, who waits for whom, readers instead of arguments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

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
from corntriton.record.signature import ModelSignature, Port
from corntriton.runtime.fusion import FusedPath, Group, outputs_of


class _Missing:
    """The value of what is not there: an optional input or output that nobody gave."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()
HERE = ("", "")
# A target and, of an executor, those of its components that a call visits.
GateKey = tuple[str, frozenset[str]]


class Known(Protocol):
    """What a reader reads: the request's inputs, and the outputs of the steps that are through."""

    inputs: Mapping[str, Any]
    results: list[Mapping[str, Any]]


Reader = Callable[[Known], Any]


@dataclass(frozen=True)
class Constant:
    """A value that the flow wrote down."""

    value: Any


@dataclass(frozen=True)
class Step:
    """One invocation of a compiled path.

    Attributes:
        index: Its place in the path.
        id: The invocation's id.
        component: The component called, or the components of a group.
        target: What is called.
        group: The part of the path that one call of an executor runs, if that is what it is.
        streams: What is called answers with any number of responses.
        readers: How to read each whole argument, by input name.
        ports: Of what is called: its inputs.
        optional: The inputs that may be left out.
        chunked: The input that arrives in chunks, if one does.
        needs: How many other steps must be through before it may start.
        feeds: The steps that need it to be through.
        early: Those of them that need only outputs which a group gives before it is through, with these.
        streams_to: The steps that take one of its outputs chunk by chunk.
        sends: Model outputs that are outputs of this step: (model output, step output).
        emits: Its outputs come in pieces: the component streams, or it is called once per chunk.
        keeps: Its outputs are needed as a whole by another step, or in a list that is a model output.
        uses: Its outputs that somebody reads; all of them when nobody reads any.
        takers: Of each of these, who reads it: (target, input); or HERE, for what the replay itself reads,
            which are model outputs and values that are cut into chunks.
    """

    index: int
    id: str
    component: str
    target: str
    group: Group | None
    streams: bool
    readers: tuple[tuple[str, Reader], ...]
    ports: Mapping[str, Port]
    optional: frozenset[str]
    chunked: Chunked | None
    needs: int
    feeds: tuple[int, ...]
    early: tuple[tuple[int, frozenset[str]], ...]
    streams_to: tuple[int, ...]
    sends: tuple[tuple[str, str], ...]
    emits: bool
    keeps: bool
    uses: Mapping[str, Port]
    takers: Mapping[str, frozenset[tuple[str, str]]]

    @property
    def gate(self) -> GateKey:
        """Where its calls wait while too many like it are under way."""
        return self.target, self.group.members if self.group is not None else frozenset()


@dataclass(frozen=True)
class Chunked:
    """The chunked argument of a step.

    Attributes:
        name: The input that takes the chunks.
        by: The chunker.
        port: That input's.
        emits: What is cut comes in pieces, from a step that emits; else it is cut when it is there.
        output: The output of that step.
        reader: Reads the value that is cut when it is there.
    """

    name: str
    by: str
    port: Port
    emits: bool
    output: str
    reader: Reader


@dataclass(frozen=True)
class CompiledPath:
    """A flat path, ready to replay.

    Attributes:
        name: Of the path, for messages and metrics.
        steps: In the path's order.
        first: The steps that need no other.
        outputs: How to read each model output once all steps are through.
        late: The model outputs that no step sends by itself: constants, lists, request inputs.
    """

    name: str
    steps: tuple[Step, ...]
    first: tuple[int, ...]
    outputs: tuple[tuple[str, Reader], ...]
    late: tuple[tuple[str, Reader], ...]


def compile_path(name: str, path: Path, model: ModelSignature) -> CompiledPath:
    """Compiles a flat path of the model; each component is its own target."""
    return compile_fused(name, FusedPath(path, model, {}, {}))


def compile_fused(name: str, fused: FusedPath) -> CompiledPath:
    """Compiles a flat path whose targets are known."""
    return _Compiler(name, fused).compile()


class _Compiler:
    """One compilation: tables by invocation id, filled in one pass since a path may have a step per frame."""

    def __init__(self, name: str, fused: FusedPath) -> None:
        self._name = name
        self._path = path = fused.path
        self._model = fused.model
        self._targets = fused.targets
        self._groups = fused.groups
        self._index = {invocation.id: index for index, invocation in enumerate(path.invocations)}
        self._emits = {invocation.id: self._is_emitting(invocation) for invocation in path.invocations}
        self._needs: dict[str, set[str]] = defaultdict(set)
        self._feeds: dict[str, list[int]] = defaultdict(list)
        self._early: dict[str, list[tuple[int, frozenset[str]]]] = defaultdict(list)
        self._streams_to: dict[str, list[int]] = defaultdict(list)
        self._sends: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._takers: dict[str, dict[str, set[tuple[str, str]]]] = defaultdict(lambda: defaultdict(set))
        self._listed: set[str] = set()
        for invocation in path.invocations:
            self._note_inputs(invocation)
        self._note_outputs()

    def compile(self) -> CompiledPath:
        steps = tuple(self._step(invocation) for invocation in self._path.invocations)
        outputs = tuple((name, self._reader(argument)) for name, argument in self._path.outputs.items())
        sent = {name for sends in self._sends.values() for name, _ in sends}
        return CompiledPath(
            name=self._name,
            steps=steps,
            first=tuple(step.index for step in steps if step.needs == 0),
            outputs=outputs,
            late=tuple((name, reader) for name, reader in outputs if name not in sent),
        )

    def _note_inputs(self, invocation: Invocation) -> None:
        target = self._targets.get(invocation.id, invocation.component)
        for name, argument in invocation.inputs.items():
            emitter = self._emitter(argument)
            taker = HERE if isinstance(argument, Chunks) else (target, name)
            for output in outputs_of(argument):
                self._takers[output.invocation][output.name].add(taker)
                if emitter is None:
                    self._needs[invocation.id].add(output.invocation)
            if emitter is not None:
                self._streams_to[emitter].append(self._index[invocation.id])
        for producer in self._needs[invocation.id]:
            self._feeds[producer].append(self._index[invocation.id])
            if producer in self._groups:
                self._note_early(producer, invocation)

    def _note_early(self, producer: str, consumer: Invocation) -> None:
        read = [output for argument in consumer.inputs.values() for output in outputs_of(argument)]
        names = frozenset(output.name for output in read if output.invocation == producer)
        if names <= self._groups[producer].whole:
            self._early[producer].append((self._index[consumer.id], names))

    def _note_outputs(self) -> None:
        for name, argument in self._path.outputs.items():
            for output in outputs_of(argument):
                self._takers[output.invocation][output.name].add(HERE)
                if isinstance(argument, Output):
                    self._sends[output.invocation].append((name, output.name))
                else:
                    self._listed.add(output.invocation)

    def _step(self, invocation: Invocation) -> Step:
        signature, me = self._model.components[invocation.component], invocation.id
        whole = {name: arg for name, arg in invocation.inputs.items() if not isinstance(arg, Chunks)}
        return Step(
            index=self._index[me],
            id=me,
            component=invocation.component,
            target=self._targets.get(me, invocation.component),
            group=self._groups.get(me),
            streams=signature.streaming,
            readers=tuple((name, self._reader(arg)) for name, arg in whole.items()),
            ports=signature.inputs,
            optional=frozenset(name for name, port in signature.inputs.items() if port.optional),
            chunked=self._chunked(invocation),
            needs=len(self._needs[me]),
            feeds=tuple(self._feeds[me]),
            early=tuple(self._early[me]),
            streams_to=tuple(self._streams_to[me]),
            sends=tuple(self._sends[me]),
            emits=self._emits[me],
            keeps=bool(self._feeds[me]) or me in self._listed,
            uses={name: signature.outputs[name] for name in sorted(self._takers[me] or signature.outputs)},
            takers={name: frozenset(takers) for name, takers in self._takers[me].items()},
        )

    def _is_emitting(self, invocation: Invocation) -> bool:
        streaming = self._model.components[invocation.component].streaming
        return streaming or any(isinstance(arg, Chunks) for arg in invocation.inputs.values())

    def _emitter(self, argument: Argument) -> str | None:
        """The invocation whose pieces an argument takes as they come."""
        if not isinstance(argument, Chunks) or not isinstance(argument.source, Output):
            return None
        producer, group = argument.source.invocation, self._groups.get(argument.source.invocation)
        whole = group is not None and argument.source.name in group.whole
        return producer if self._emits[producer] and not whole else None

    def _chunked(self, invocation: Invocation) -> Chunked | None:
        for name, argument in invocation.inputs.items():
            if isinstance(argument, Chunks):
                emitter, source = self._emitter(argument), argument.source
                return Chunked(
                    name=name,
                    by=argument.by,
                    port=self._model.components[invocation.component].inputs[name],
                    emits=emitter is not None,
                    output=source.name if isinstance(source, Output) else "",
                    reader=self._reader(source),
                )
        return None

    def _reader(self, argument: Argument) -> Reader:
        if isinstance(argument, Output):
            return _output_reader(self._index[argument.invocation], argument.name)
        if isinstance(argument, Input):
            name = argument.name
            return lambda known: known.inputs.get(name, MISSING)
        if isinstance(argument, Element):
            return _element_reader(argument)
        if isinstance(argument, Const):
            constant = Constant(argument.value)
            return lambda known: constant
        if isinstance(argument, Items):
            return _items_reader([self._reader(_flat(item)) for item in argument.items])
        raise TypeError(f"path {self._name}: {argument} has no value as a whole")


def _flat(item: Source | Spread) -> Source:
    assert not isinstance(item, Spread)  # expand has unrolled them
    return item


def _output_reader(index: int, name: str) -> Reader:
    return lambda known: known.results[index].get(name, MISSING)


def _element_reader(element: Element) -> Reader:
    name, index = element.list, element.index
    assert index is not None  # expand has numbered them
    return lambda known: known.inputs[name][index]


def _items_reader(readers: list[Reader]) -> Reader:
    return lambda known: [reader(known) for reader in readers]
