"""One call for several requests that wait for the same ensemble: their inputs become the rows of its batch.

    waiting at the gate:  a b c d ──> [a b c d] ──one call──> rows ──> a, b, c, d go on, each by itself

A call through BLS costs as much as several small components together, whatever it carries. Whoever is
admitted takes along those that wait, as Triton's dynamic batcher does, but before the cost and not after it.

The tensors of the call belong to a request of their own, the joint one. It lives as long as any of the
requests that it stands for, and asks for as much time as the most patient. What fails together is called
again one by one, so that no request pays for another's fault.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from corntriton.runtime.calls import DEADLINE_PARAMETER, Context
from corntriton.runtime.failures import CallError
from corntriton.runtime.metrics import Meter, target_labels
from corntriton.runtime.refs import Refs
from corntriton.runtime.replay import Outputs, Task
from corntriton.runtime.settings import REF, Target
from corntriton.runtime.shm.credential import PARAMETER as OWNER_PARAMETER
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.owner import OwnedRequest
from corntriton.runtime.tensors import Array
from corntriton.runtime.values import TensorValue, array_of


class _NotAlikeError(Exception):
    """The inputs of these requests make no batch."""


class JointCaller:
    """Calls targets for several tasks at once, where those may carry several rows.

    Args:
        pb_utils: Triton's module.
        targets: By name.
        meter: Told of every task.
        memory: This process's.
    """

    def __init__(
        self,
        pb_utils: Any,
        targets: Mapping[str, Target],
        meter: Meter,
        memory: SharedMemory,
    ) -> None:
        self._pb_utils = pb_utils
        self._targets = targets
        self._labels = target_labels(targets)
        self._meter = meter
        self._memory = memory

    def rows(self, target: str) -> int:
        """How many tasks one call of the target may carry."""
        found = self._targets[target]
        return found.max_rows if found.ensemble and found.idempotent and not found.server else 1

    def call(self, tasks: Sequence[Task]) -> Sequence[Outputs] | None:
        """The outputs of each task; None where they have to be called one by one.

        Args:
            tasks: Of one step, and at most as many as it may carry.
        """
        labels = self._labels[tasks[0].step.target]
        try:
            with self._meter.invocation(labels, len(tasks)):
                return self._together(tasks)
        except Exception:  # of one of them, perhaps: each finds out for itself
            self._meter.retry(labels, len(tasks))
            return None

    def _together(self, tasks: Sequence[Task]) -> list[Outputs]:
        step, contexts = tasks[0].step, [task.replay.context for task in tasks]
        target, deadline_ns = self._targets[step.target], max(each.deadline_ns for each in contexts)
        owned = self._memory.owner.enter()
        refs = Refs(self._memory, owned.tag, deadline_ns)
        _live_as_long_as(tasks, owned)
        rows = [self._row(task, target, refs) for task in tasks]
        request = self._pb_utils.InferenceRequest(
            model_name=target.model_name,
            request_id=contexts[0].request_id,
            inputs=[self._pb_utils.Tensor(name, _stacked([row[name] for row in rows])) for name in rows[0]],
            requested_output_names=[name + REF * (name in target.ref_outputs) for name in step.uses],
            timeout=max(1, (deadline_ns - time.monotonic_ns()) // 1000),
            parameters={DEADLINE_PARAMETER: deadline_ns, OWNER_PARAMETER: owned.text},
        )
        with owned.invocation():
            response = request.exec()
        if response.has_error():
            raise CallError(response.error().message(), "INTERNAL")
        # Copied: the server frees a tensor's memory with the tensor, whoever still has a view of it.
        found = {tensor.name(): tensor.as_numpy().copy() for tensor in response.output_tensors()}
        return [
            {
                name.removesuffix(REF): refs.unpack(array[row]) if name.endswith(REF) else array[row]
                for name, array in found.items()
            }
            for row in range(len(tasks))
        ]

    def _row(self, task: Task, target: Target, refs: Refs) -> dict[str, Array]:
        """A task's inputs as tensors without batch dimension."""
        row = {}
        for name, value in task.inputs.items():
            port = task.step.ports[name]
            # The memory of a request's tensor: what is put into the arena for it is the joint request's.
            value = value.item if isinstance(value, TensorValue) else value
            if name in target.ref_inputs:
                row[name + REF] = refs.pack(value, port)
            else:
                row[name] = array_of(value, port)
        return row


def _stacked(arrays: Sequence[Array]) -> Array:
    if any(array.shape != arrays[0].shape for array in arrays):
        raise _NotAlikeError
    return np.stack(arrays)


def _live_as_long_as(tasks: Sequence[Task], owned: OwnedRequest) -> None:
    """Ends a request when those of all tasks have ended."""
    left, lock = {*range(len(tasks))}, threading.Lock()

    def leave(number: int) -> None:
        with lock:
            left.discard(number)
            last = not left
        if last:
            owned.end()

    for number, task in enumerate(tasks):
        context: Context = task.replay.context
        ended: Callable[[], None] = partial(leave, number)
        context.on_over[id(left)] = ended
        if not task.alive:  # over before it could be noted, perhaps
            ended()
