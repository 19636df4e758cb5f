"""The components that live in one process, and calls between them: no tensor leaves the process."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from corntriton.record.signature import Port
from corntriton.runtime.answer import Ports
from corntriton.runtime.batch import BatchRunner
from corntriton.runtime.batcher import Batcher, kept
from corntriton.runtime.compiled import Step
from corntriton.runtime.device_ports import DevicePorts
from corntriton.runtime.failures import RequestError
from corntriton.runtime.messages import Call, Failure
from corntriton.runtime.replay import Outputs, Task
from corntriton.runtime.settings import ComponentSettings
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.stream import run_stream
from corntriton.runtime.tensors import Array, BadValueError
from corntriton.runtime.values import ValueCaller, array_of


class MemberError(RequestError):
    """A component has refused or failed a call."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


@dataclass
class Running:
    """What the calls of one request carry along.

    Attributes:
        slot: Its cancel flag's.
        call: The host's call, for deadline and owner.
        sequence: Given from outside, for the only invocation of a path that is called once per chunk.
        correlations: The sequence number of each stateful step.
    """

    slot: int
    call: Call
    sequence: tuple[int | str, bool, bool] | None
    correlations: dict[int, int] = field(default_factory=dict)


class Member:
    """One loaded component.

    Attributes:
        settings: Its own.
        component: The user's object.
        limit: Calls that may be under way: of streams as many as it may have at once, else two batches,
            so that the next one is there when the first is through.
    """

    def __init__(
        self,
        settings: ComponentSettings,
        component: Any,
        flags: Sequence[int],
        memory: SharedMemory,
        on_device: DevicePorts | None = None,
    ) -> None:
        self.settings = settings
        self.component = component
        self._flags = flags
        self._arena = memory.arena
        batch = max(1, settings.max_batch_size)
        self.limit = batch if settings.signature.streaming else 2 * batch
        self._ports = Ports(settings.signature, batched=False, device=on_device)
        if not settings.signature.streaming:
            runner = BatchRunner(component, self._ports, settings.idempotent and not settings.stateful)
            self._batcher = Batcher(runner, batch, flags, memory.arena)

    def run(self, call: Call, slot: int) -> dict[str, Array]:
        """Calls it, perhaps together with others.

        Raises:
            MemberError: It failed.
        """
        result = self._batcher.run(call, slot)
        if isinstance(result, Failure):
            raise MemberError(result)
        return result

    def stream(self, call: Call, slot: int) -> Iterator[dict[str, Array]]:
        """Streams from it; raises what it raises."""
        for outputs in run_stream(self.component.stream, self._ports, call, self._flags, slot):
            yield kept(outputs, self._arena)


class LocalCaller(ValueCaller):
    """The `Caller` of a replay whose components live in this process."""

    def __init__(self, members: Mapping[str, Member]) -> None:
        self._members = members
        self._correlations = itertools.count(random.getrandbits(40) << 20)

    def sequenced(self, step: Step) -> bool:
        """Whether it is told which chunk is the last."""
        return self._members[step.component].settings.stateful

    def call(self, task: Task) -> Outputs:
        """Calls a component.

        Raises:
            MemberError: It failed.
            BadValueError: A list cannot be one tensor.
        """
        member, running = self._members[task.step.component], task.replay.context
        return member.run(self._call(task, member), running.slot)

    def stream(self, task: Task) -> Iterator[Outputs]:
        """The same for a component that streams; ends early when the request has ended."""
        member, running = self._members[task.step.component], task.replay.context
        for outputs in member.stream(self._call(task, member), running.slot):
            if not task.alive:
                return
            yield outputs

    def _call(self, task: Task, member: Member) -> Call:
        running: Running = task.replay.context
        ports, outer = member.settings.signature.inputs, running.call
        views = member.settings.ref_inputs
        inputs = {name: _own(name, value, ports[name], name in views) for name, value in task.inputs.items()}
        sequence = self._sequence(task, running) if member.settings.stateful else None
        return Call(inputs, frozenset(task.step.uses), outer.deadline_ns, outer.owner, sequence)

    def _sequence(self, task: Task, running: Running) -> tuple[int | str, bool, bool] | None:
        if task.chunk is None:
            return running.sequence
        if task.step.index not in running.correlations:
            running.correlations[task.step.index] = next(self._correlations)
        return running.correlations[task.step.index], task.chunk.first, task.chunk.last


def _own(name: str, value: Any, port: Port, view: bool) -> Array:
    """An array that the component may write to: what others read too is read-only, and copied here.

    Args:
        name: Of the input.
        value: Its value.
        port: Its port.
        view: It comes by ref where the component lives alone, which nobody may write to.
    """
    try:
        array = array_of(value, port)
    except BadValueError as error:
        raise BadValueError(f"{name} {error}") from None
    return array if view or array.flags.writeable else array.copy()
