"""One request on its path: which invocations are through, what they gave, and which are ready for that.

Request values go in; tasks come out; the outputs of tasks go in again, and more tasks come out, until the
sink has its answer. Nothing in here runs anything, and nothing knows Triton.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from corntriton.record.signature import Port
from corntriton.runtime.compiled import MISSING, Chunked, CompiledPath, Step
from corntriton.runtime.failures import MissingInputError
from corntriton.runtime.pump import Chunk, Cutter, Pump

Outputs = Mapping[str, Any]


class Caller(Protocol):
    """Calls components; may block."""

    def call(self, task: Task) -> Outputs:
        """Calls the task's component with its inputs."""

    def stream(self, task: Task) -> Iterator[Outputs]:
        """The same for a component that streams: what it emits, as it comes."""

    def sequenced(self, step: Step) -> bool:
        """Whether a consumer of chunks must be told which of them is the last."""

    def cutter(self, step: Step) -> Cutter:
        """A new cutter for the step's chunked argument."""

    def join(self, pieces: Sequence[Any], port: Port) -> Any:
        """The whole value of an output that came in pieces, perhaps in none."""


class Sink(Protocol):
    """Takes what a replay has for its client; exactly one of done and failed is called, as the last call."""

    streams: bool
    """Wants news as they come."""

    def news(self, outputs: Outputs) -> None:
        """Model outputs, or pieces of them, that are there now; only for a sink that streams."""

    def done(self, outputs: Outputs) -> None:
        """All model outputs; for a sink that streams, those of which there was no news."""

    def failed(self, step: Step | None, error: BaseException) -> None:
        """The request fails; the step is the one that did, if one did."""


class Task:
    """One call to make: a step of a replay, with the inputs to call its component with.

    Attributes:
        alone: It failed together with others, and is to be called by itself.
    """

    __slots__ = ("alone", "chunk", "inputs", "replay", "step")

    def __init__(self, replay: Replay, step: Step, inputs: dict[str, Any], chunk: Chunk | None) -> None:
        self.replay = replay
        self.step = step
        self.inputs = inputs
        self.chunk = chunk
        self.alone = False

    @property
    def alive(self) -> bool:
        """False once the request has ended."""
        return not self.replay.over


class Replay:
    """One request on its path: which steps are through and what they gave.

    Attributes:
        path: The path.
        inputs: The request's, by name.
        context: The caller's own, for the calls of this request.
        over: The sink has its answer.
        results: What the steps gave that are through, by their numbers.
        streams: Its client takes pieces as they come.
        under_way: The ids of the steps that have been asked for and are not through.
    """

    def __init__(
        self, path: CompiledPath, inputs: Mapping[str, Any], sink: Sink, caller: Caller, context: Any = None
    ) -> None:
        self.path = path
        self.inputs = inputs
        self.context = context
        self.over = False
        self.streams = sink.streams
        self.results: list[Outputs] = [{}] * len(path.steps)
        self.under_way: set[str] = set()
        self._sink = sink
        self._caller = caller
        self._needs = [step.needs for step in path.steps]
        self._left = len(path.steps)
        self._pieces: dict[int, list[Outputs]] = {}
        self._pumps: dict[int, Pump] = {}
        self._released: set[tuple[int, int]] = set()
        self._lock = threading.RLock()

    def begin(self) -> list[Task]:
        """The tasks that are ready from the start."""
        for step in self.path.steps:
            if step.chunked is not None:
                hold_back = self._caller.sequenced(step)
                self._pumps[step.index] = Pump(self._caller.cutter(step), hold_back)
        if not self.path.steps:
            self._close()
            return []
        return self._ready(self.path.first)

    def emit(self, task: Task, outputs: Outputs) -> list[Task]:
        """Notes a piece of a streaming step's outputs; gives the tasks that are ready now."""
        step = task.step
        tasks: list[Task] = []
        if self._keeps(step):
            self._pieces.setdefault(step.index, []).append(outputs)
        if self._sink.streams:
            self._send(step, outputs)
        if step.early:
            tasks += self._release(step, outputs)
        for index in step.streams_to:
            value = outputs.get(_chunked(self.path.steps[index]).output, MISSING)
            if value is not MISSING:
                with self._lock:
                    self._pumps[index].push(value)
                    tasks += self._pumped(index)
        return tasks

    def finish(self, task: Task, outputs: Outputs | None) -> list[Task]:
        """Notes that a call is done, with its outputs unless they were emitted; gives the tasks ready now."""
        step = task.step
        self.under_way.discard(step.id)
        tasks: list[Task] = []
        if step.emits and outputs is not None:
            tasks += self.emit(task, outputs)
        if step.chunked is not None:
            with self._lock:
                self._pumps[step.index].done()
                return tasks + self._pumped(step.index)
        return tasks + self._through(step, outputs)

    def again(self, index: int) -> Task:
        """The task of a step that is through and takes no chunks, to be made once more."""
        step = self.path.steps[index]
        return Task(self, step, self._inputs_of(step), None)

    def fail(self, step: Step | None, error: BaseException) -> bool:
        """Ends the request with an error; False if it had ended already."""
        with self._lock:
            if self.over:
                return False
            self.over = True
        self._sink.failed(step, error)
        return True

    def _through(self, step: Step, outputs: Outputs | None) -> list[Task]:
        """A step is through: hands its outputs on, and closes the request if it was the last."""
        if step.emits:
            outputs = self._joined(step)
        elif self._sink.streams and outputs is not None:
            self._send(step, outputs)
        self.results[step.index] = outputs or {}
        tasks: list[Task] = []
        with self._lock:
            self._left -= 1
            last = self._left == 0
            for index in step.streams_to:
                self._pumps[index].end()
                tasks += self._pumped(index)
            late = [index for index in step.feeds if (step.index, index) not in self._released]
            ready = self._fed(late)
        tasks += self._ready(ready)
        if last:
            self._close()
        return tasks

    def _release(self, step: Step, outputs: Outputs) -> list[Task]:
        """The tasks that were waiting for these outputs of a group, which is not through."""
        with self._lock:
            known = self.results[step.index] = {**self.results[step.index], **outputs}
            now = [
                index
                for index, names in step.early
                if names <= known.keys() and (step.index, index) not in self._released
            ]
            self._released.update((step.index, index) for index in now)
            ready = self._fed(now)
        return self._ready(ready)

    def _fed(self, indices: Sequence[int]) -> list[int]:
        """Which of these steps have all that they need, now that one more of their producers is done."""
        for index in indices:
            self._needs[index] -= 1
        return [index for index in indices if not self._needs[index]]

    def _ready(self, indices: Sequence[int]) -> list[Task]:
        tasks = []
        for index in indices:
            step = self.path.steps[index]
            if step.chunked is None:
                tasks.append(self._task(step))
            else:
                tasks += self._open(step)
        return tasks

    def _open(self, step: Step) -> list[Task]:
        """A consumer of chunks has its other inputs."""
        chunked, pump = _chunked(step), self._pumps[step.index]
        with self._lock:
            pump.open()
            if not chunked.emits:
                value = chunked.reader(self)
                if value is not MISSING:
                    pump.push(value)
                pump.end()
            return self._pumped(step.index)

    def _pumped(self, index: int) -> list[Task]:
        """The next task of a consumer of chunks, or what follows from its being through; under the lock."""
        step, pump = self.path.steps[index], self._pumps[index]
        chunk = pump.next()
        if chunk is not None:
            return [self._task(step, chunk)]
        return self._through(step, None) if pump.exhausted else []

    def _task(self, step: Step, chunk: Chunk | None = None) -> Task:
        inputs = self._inputs_of(step)
        if chunk is not None:
            inputs[_chunked(step).name] = chunk.value
        self.under_way.add(step.id)
        return Task(self, step, inputs, chunk)

    def _inputs_of(self, step: Step) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        for name, reader in step.readers:
            value = reader(self)
            if value is not MISSING:
                inputs[name] = value
            elif name not in step.optional:
                raise MissingInputError(f"{step.id} needs {name}, which nothing has given")
        return inputs

    def _joined(self, step: Step) -> Outputs:
        if not self._keeps(step):
            return {}
        pieces = self._pieces.pop(step.index, [])
        outputs = {}
        for name, port in step.uses.items():
            values = [piece[name] for piece in pieces if name in piece]
            if values or not port.optional:
                outputs[name] = self._caller.join(values, port)
        return outputs

    def _keeps(self, step: Step) -> bool:
        """Whether the pieces of its outputs are needed as a whole; a client that streams has had them."""
        return step.keeps or (bool(step.sends) and not self._sink.streams)

    def _send(self, step: Step, outputs: Outputs) -> None:
        news = {name: outputs[source] for name, source in step.sends if source in outputs}
        if news and not self.over:
            self._sink.news(news)

    def _close(self) -> None:
        readers = self.path.late if self._sink.streams else self.path.outputs
        values = ((name, reader(self)) for name, reader in readers)
        outputs = {name: value for name, value in values if value is not MISSING}
        with self._lock:
            if self.over:
                return
            self.over = True
        self._sink.done(outputs)


def _chunked(step: Step) -> Chunked:
    assert step.chunked is not None  # it is a consumer of chunks
    return step.chunked
