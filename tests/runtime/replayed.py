"""Plain Python in the place of Triton: what the engine calls in tests, and where they look at the answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from corntriton.record.chunkers import parse_chunker
from corntriton.record.joining import join
from corntriton.record.path import Path
from corntriton.record.signature import ModelSignature
from corntriton.runtime.compiled import Constant, compile_path
from corntriton.runtime.engine import Engine
from corntriton.runtime.replay import Replay
from corntriton.runtime.threads import Workers

PATIENCE_S = 20


class PlainCaller:
    """Calls Python functions; notes each call."""

    def __init__(
        self, model: ModelSignature, components: Mapping[str, Callable], sequenced: set[str]
    ) -> None:
        self.calls: list[tuple[str, dict[str, Any], int]] = []
        self.chunks: list[Any] = []
        self._model = model
        self._components = components
        self._sequenced = sequenced

    def sequenced(self, step) -> bool:
        return step.component in self._sequenced

    def cutter(self, step):
        return parse_chunker(step.chunked.by).start()

    def join(self, pieces, port):
        return join(pieces, port)

    def call(self, task) -> Any:
        inputs = {name: plain(value) for name, value in task.inputs.items()}
        self.calls.append((task.step.id, inputs, threading.get_ident()))
        if task.chunk is not None:
            self.chunks.append(task.chunk)
        return self._components[task.step.component](inputs)

    def stream(self, task) -> Iterator[dict[str, Any]]:
        given = self.call(task)
        yield from [given] if isinstance(given, Mapping) else given


class Answer:
    """The sink: what a client would have got."""

    def __init__(self, streams: bool = False) -> None:
        self.streams = streams
        self.pieces: list[tuple[str, Any]] = []
        self.outputs: dict[str, Any] | None = None
        self.failures: list[tuple[Any, BaseException]] = []
        self.ended = threading.Event()

    def news(self, outputs) -> None:
        assert not self.ended.is_set()
        self.pieces += [(name, plain(value)) for name, value in outputs.items()]

    def done(self, outputs) -> None:
        assert not self.ended.is_set()
        self.outputs = {name: plain(value) for name, value in outputs.items()}
        self.ended.set()

    def failed(self, step, error) -> None:
        assert not self.ended.is_set()
        self.failures.append((step, error))
        self.ended.set()

    def wait(self) -> dict[str, Any]:
        assert self.ended.wait(PATIENCE_S), "the replay has not ended"
        if self.failures:
            raise self.failures[0][1]
        assert self.outputs is not None
        return self.outputs


class Bench:
    """An engine over Python functions."""

    def __init__(
        self,
        model: ModelSignature,
        components: Mapping[str, Callable],
        limits: Mapping[str, int] | int = 4,
        sequenced: set[str] = frozenset(),
    ) -> None:
        self.model = model
        each = {name: limits if isinstance(limits, int) else limits[name] for name in model.components}
        self.caller = PlainCaller(model, components, sequenced)
        self.workers = Workers("test", sum(each.values()) + 4)
        self.engine = Engine(self.caller, each, self.workers)

    def start(self, path: Path, values: Mapping[str, Any], streams: bool = False) -> tuple[Replay, Answer]:
        answer = Answer(streams)
        replay = Replay(compile_path("test", path, self.model), values, answer, self.caller)
        self.workers.submit(lambda: self.engine.run(replay))
        return replay, answer

    def run(self, path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
        return self.start(path, values)[1].wait()


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.value if isinstance(value, Constant) else value
