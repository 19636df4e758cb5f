"""Calls targets for tasks: inputs by name go in, outputs by name come out, or a CallError.

    task ─> Calls ─┬─ BlsWay ────> component of this server            exchange.py: what they all send and get
                   └─ RemoteWay ─> component of another one

A call fails in five ways: the component raised, the server refused it, the process that ran it died, an input
was lost with the process in whose device memory it lay, or the other server that ran it was lost. The third
and the fourth are worth a second try here, the last one of the whole request on another route.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from corntriton.runtime.compiled import Step
from corntriton.runtime.exchange import Exchange, Given
from corntriton.runtime.failures import CallError
from corntriton.runtime.metrics import Meter, target_labels
from corntriton.runtime.refs import Refs
from corntriton.runtime.replay import Outputs, Task
from corntriton.runtime.settings import Target
from corntriton.runtime.shm.credential import PARAMETER as OWNER_PARAMETER
from corntriton.runtime.shm.owner import OwnedRequest
from corntriton.runtime.values import ValueCaller, on_devices

DEADLINE_PARAMETER = "corntriton_deadline_ns"
# In an ensemble, one edge after the other may turn out to lead over GPUs that do not reach each other.
_MOST_LOSSES = 8


@dataclass
class Context:
    """What every call of one request carries along.

    Attributes:
        request_id: The client's.
        deadline_ns: On the monotonic clock.
        owned: The life of the request's tensors.
        refs: Gives and takes them by ref.
        ask_client: Ends the request if its client has left.
        on_over: Called when the request is over: ends the streams it still reads.
        correlations: The sequence number of each stateful step.
        visit: What the request does on other servers; None where there are none.
    """

    request_id: str
    deadline_ns: int
    owned: OwnedRequest
    refs: Refs
    ask_client: Callable[[], None] = lambda: None
    on_over: dict[int, Callable[[], object]] = field(default_factory=dict)
    correlations: dict[int, int] = field(default_factory=dict)
    visit: Any = None
    parameters: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = {DEADLINE_PARAMETER: self.deadline_ns, OWNER_PARAMETER: self.owned.text}

    def begin_visit(self, visit: Any) -> None:
        """Notes what the request does on other servers, which ends with it."""
        self.visit = visit
        self.on_over[id(visit)] = visit.end


class Way(Protocol):
    """How calls travel to their targets and back."""

    def call(self, task: Task, target: Target) -> Given:
        """Calls a unary target once.

        Raises:
            CallError: It failed.
        """

    def stream(self, task: Task, target: Target) -> Generator[Given, None, None]:
        """Calls a streaming target once; what it gives, as it comes.

        Raises:
            CallError: It failed, perhaps after it had given something.
        """


class Calls(ValueCaller):
    """The `Caller` of a replay inside Triton.

    Args:
        targets: By name.
        meter: Told of every call.
        exchange: For the targets.
        here: How to call those of this server.
        elsewhere: How to call the others; None where there are none.
    """

    def __init__(
        self,
        targets: Mapping[str, Target],
        meter: Meter,
        exchange: Exchange,
        here: Way,
        elsewhere: Way | None = None,
    ) -> None:
        self._targets = targets
        self._meter = meter
        self._labels = target_labels(targets)
        self._exchange = exchange
        self._ways = {name: elsewhere if target.server else here for name, target in targets.items()}

    def sequenced(self, step: Step) -> bool:
        """Whether chunks go to it as a sequence with an end."""
        return step.group.sequenced if step.group is not None else self._targets[step.target].stateful

    def call(self, task: Task) -> Outputs:
        """Calls a unary component; once more if its process died, or an input's, and it is idempotent.

        Raises:
            CallError: It failed.
        """
        with self._meter.invocation(self._labels[task.step.target]), task.replay.context.owned.invocation():
            return self._call(task)

    def stream(self, task: Task) -> Iterator[Outputs]:
        """Calls a streaming component and gives what it emits; repeats as `call` does, while nothing came.

        Raises:
            CallError: It failed, perhaps after it had emitted something.
        """
        with self._meter.invocation(self._labels[task.step.target]), task.replay.context.owned.invocation():
            emitted = False
            try:
                for outputs in self._stream(task):
                    emitted = True
                    yield outputs
            except CallError as error:
                if emitted:
                    raise
                self._prepare_repetition(task, error, 0)
                yield from self._stream(task)

    def _call(self, task: Task) -> Outputs:
        way, target = self._way(task)
        n_before = 0
        while True:
            try:
                return self._exchange.outputs(task, way.call(task, target))
            except CallError as error:
                self._prepare_repetition(task, error, n_before)
                n_before += 1

    def _stream(self, task: Task) -> Iterator[Outputs]:
        way, target = self._way(task)
        responses = way.stream(task, target)
        try:
            for given in responses:
                if outputs := self._exchange.outputs(task, given):  # the last one is often empty
                    yield outputs
        finally:
            responses.close()

    def _way(self, task: Task) -> tuple[Way, Target]:
        name = task.step.target
        way = self._ways[name]
        assert way is not None  # there is one for each sort of target that there is
        return way, self._targets[name]

    def _prepare_repetition(self, task: Task, error: CallError, n_before: int) -> None:
        """Makes a call worth repeating that was repeated so often before, and notes that it is; or raises."""
        target = self._targets[task.step.target]
        most = _MOST_LOSSES if error.input_lost else int(error.process_died)
        if not (n_before < most and target.idempotent and not target.stateful and task.alive):
            raise error
        self._meter.retry(self._labels[task.step.target])
        if error.input_lost:
            self._renew_inputs(task, error)

    def _renew_inputs(self, task: Task, error: CallError) -> None:
        """Has the inputs made again that may lie in a GPU's memory, by those that made them.

        That they are called within this call, and beyond their limits, is rare and does no harm.
        """
        lost = {id(each) for value in task.inputs.values() for each in on_devices(value)}
        for index, outputs in enumerate(task.replay.results):
            known = {name: [*on_devices(value)] for name, value in outputs.items()}
            if any(id(each) in lost for values in known.values() for each in values):
                producer = self._targets[task.replay.path.steps[index].target]
                if not producer.idempotent or producer.stateful:
                    raise error
                again = self._call(task.replay.again(index))
                for name, values in known.items():
                    for old, new in zip(values, on_devices(again.get(name)), strict=False):
                        old.renew(new)
