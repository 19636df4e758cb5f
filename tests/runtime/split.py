"""Executors with nothing between them and their callers, for tests: models split over them in any way."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from corntriton.record.path import Path
from corntriton.record.signature import ModelSignature, Port, Signature
from corntriton.runtime.compiled import compile_fused
from corntriton.runtime.engine import Engine
from corntriton.runtime.executor import Executor
from corntriton.runtime.failures import CallError
from corntriton.runtime.fusion import fuse
from corntriton.runtime.members import Member
from corntriton.runtime.messages import Call, Chunk, End, Start
from corntriton.runtime.parcel import ByRef, unpack
from corntriton.runtime.part import parcel_of
from corntriton.runtime.refs import Refs
from corntriton.runtime.replay import Replay
from corntriton.runtime.settings import CALL, RESULT, ComponentSettings, Target
from corntriton.runtime.threads import Workers
from corntriton.runtime.values import ValueCutter, array_of
from corntriton.runtime.values import join as join_values
from tests.runtime.memory import memory
from tests.runtime.replayed import PATIENCE_S, Answer


class Part:
    """A component as users write it, around a function of plain values."""

    def __init__(self, signature: Signature, function: Callable[[dict[str, Any]], Any]) -> None:
        self._signature = signature
        self._function = function
        self.batches: list[int] = []

    def __call__(self, items: list[Any]) -> list[Any]:
        self.batches.append(len(items))
        return [self._function(self._plain(item)) for item in items]

    def stream(self, item: Any) -> Iterator[Any]:
        yield from self._function(self._plain(item))

    def _plain(self, item: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: [_text(each) for each in value] if self._signature.inputs[name].list else _text(value)
            for name, value in item.items()
        }


def _text(value: Any) -> str:
    return value.item().decode()


class Local:
    """An executor with nothing between it and its caller."""

    def __init__(
        self, model: ModelSignature, parts: Mapping[str, Any], max_batch: int, slots: int = 64
    ) -> None:
        self.flags = bytearray(slots)
        self._answers = [queue.SimpleQueue() for _ in range(slots)]
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(slots):
            self._free.put(slot)
        members = {}
        for name, each in parts.items():
            kept = ComponentSettings(name, "python", "m:C", model.components[name], max_batch)
            members[f"m/{name}"] = Member(kept, each, self.flags, memory())
        self.executor = Executor(members, self._take, self.flags, memory())

    def call(self, parcel: Any, owner: str | None = None) -> Iterator[dict[str, Any]]:
        slot = self._free.get(timeout=PATIENCE_S)
        self.executor.handle(Start(slot, Call({CALL: parcel}, frozenset({RESULT}), owner=owner)))
        while not isinstance(message := self._answers[slot].get(timeout=PATIENCE_S), End):
            yield unpack(message.outputs[RESULT])[0]
        if message.outputs:
            yield unpack(message.outputs[RESULT])[0]
        self._free.put(slot)
        if message.failure is not None:
            raise CallError(message.failure.text, message.failure.code)

    def _take(self, message: Chunk | End) -> None:
        self._answers[message.slot].put(message)


class SplitCaller:
    """Calls functions, and executors where a step is a part of the path."""

    def __init__(
        self, model: ModelSignature, parts: Mapping[str, Part], executors: Mapping[str, Local]
    ) -> None:
        self._model = model
        self._parts = parts
        self._executors = executors
        self.calls: list[str] = []
        self.n_refs = 0

    def sequenced(self, step: Any) -> bool:
        return step.group is not None and step.group.sequenced

    def cutter(self, step: Any) -> ValueCutter:
        return ValueCutter(step.chunked.by, step.chunked.port)

    def join(self, pieces: Any, port: Port) -> Any:
        return join_values(pieces, port)

    def call(self, task: Any) -> Any:
        self.calls.append(task.step.id)
        return _arrays(self._parts[task.step.component]([self._item(task)])[0])

    def stream(self, task: Any) -> Iterator[Any]:
        if task.step.group is None:
            self.calls.append(task.step.id)
            yield from map(_arrays, self._parts[task.step.component].stream(self._item(task)))
        else:
            self.calls.append(task.step.id)
            context, executor = task.replay.context, self._executors[task.step.target]
            for outputs in executor.call(parcel_of(task), context.owned.text):
                self.n_refs += sum(isinstance(value, ByRef) for value in outputs.values())
                yield {
                    name: context.refs.unpack(value.refs) if isinstance(value, ByRef) else value
                    for name, value in outputs.items()
                }

    def _item(self, task: Any) -> dict[str, Any]:
        ports = self._model.components[task.step.component].inputs
        arrays = {name: array_of(value, ports[name]) for name, value in task.inputs.items()}
        return {name: [*array] if ports[name].list else array for name, array in arrays.items()}


def _arrays(outputs: Mapping[str, str]) -> dict[str, Any]:
    return {name: np.array([value.encode()], object) for name, value in outputs.items()}


class Split:
    """A model over executors `E` and `F` of all its components, and over its components alone."""

    def __init__(self, model: ModelSignature, functions: Mapping[str, Callable], max_batch: int = 2) -> None:
        self.model = model
        self.parts = {name: Part(model.components[name], function) for name, function in functions.items()}
        names = {name: f"m/{name}" for name in functions}
        executors = {name: Local(model, self.parts, max_batch) for name in "EF"}
        self.targets = {name: Target(name, False, 3, members=names) for name in executors}
        self.targets.update({name: Target(name, True, 3) for name in functions})
        self.caller = SplitCaller(model, self.parts, executors)
        limits = {name: target.max_in_flight for name, target in self.targets.items()}
        self.workers = Workers("test", sum(limits.values()) + 4)
        self.engine = Engine(self.caller, limits, self.workers)
        owned = memory().owner.enter()
        self.context = SimpleNamespace(owned=owned, refs=Refs(memory(), owned.tag, 0))

    def start(
        self, path: Path, stops: Mapping[str, str], values: Mapping[str, Any], streams: bool = False
    ) -> Answer:
        answer = Answer(streams)
        compiled = compile_fused("test", fuse(path, self.model, stops, self.targets))
        replay = Replay(compiled, _request(values), answer, self.caller, self.context)
        self.workers.submit(lambda: self.engine.run(replay))
        return answer


def _request(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: np.array(
            [[each.encode()] for each in value] if isinstance(value, list) else [value.encode()], object
        )
        for name, value in values.items()
    }
