"""Joins the calls that threads make of one component into batches: a call enters, its own result leaves."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence

from corntriton.runtime.answer import failure_of
from corntriton.runtime.batch import BatchRunner, Result
from corntriton.runtime.messages import Call, Failure
from corntriton.runtime.shm.arena import Arena
from corntriton.runtime.tensors import Array


class Batcher:
    """Runs one batch at a time; what comes meanwhile is the next one.

    No thread of its own: the first of those who wait runs the batch for all, so that a call that finds
    the component idle is made where it comes from, at once.

    Args:
        runner: Runs the batches.
        max_batch: Most calls in one.
        flags: The cancel flags of all requests.
        arena: Where the component may have got memory for its outputs.
    """

    def __init__(self, runner: BatchRunner, max_batch: int, flags: Sequence[int], arena: Arena) -> None:
        self._runner = runner
        self._max_batch = max_batch
        self._flags = flags
        self._arena = arena
        self._queue: deque[_Waiting] = deque()
        self._busy = False
        self._lock = threading.Lock()

    def run(self, call: Call, slot: int) -> Result:
        """The result of a call, which is cancelled once the flag of this slot is not 0."""
        mine = _Waiting(call, slot)
        with self._lock:
            self._queue.append(mine)
            leads, self._busy = not self._busy, True
        if not leads:
            mine.turn.wait()
        if mine.result is None:
            self._lead()
        assert mine.result is not None  # the one that leads is the first in the queue
        return mine.result

    def _lead(self) -> None:
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(self._max_batch, len(self._queue)))]
        try:
            flags = _Picked(self._flags, [each.slot for each in batch])
            results = self._runner.run([each.call for each in batch], flags)
            results = [
                result if isinstance(result, Failure) else kept(result, self._arena) for result in results
            ]
        except BaseException as error:  # nobody may be left waiting
            results = [failure_of(error)] * len(batch)
        for each, result in zip(batch, results, strict=True):
            each.result = result
        with self._lock:
            following = self._queue[0] if self._queue else None
            self._busy = following is not None
        for each in batch:
            each.turn.set()
        if following is not None:
            following.turn.set()


def kept(outputs: Mapping[str, Array], arena: Arena) -> dict[str, Array]:
    """Copies, as other processes would get: a component may use the same memory for its next result.

    What it asked the arena for is its own and stays where it is.
    """
    copies = {name: array if arena.gave(array) else array.copy() for name, array in outputs.items()}
    for array in copies.values():
        array.flags.writeable = False  # several components may read it
    return copies


class _Waiting:
    """A call that waits: for its result, or to lead."""

    __slots__ = ("call", "result", "slot", "turn")

    def __init__(self, call: Call, slot: int) -> None:
        self.call = call
        self.slot = slot
        self.result: Result | None = None
        self.turn = threading.Event()


class _Picked(Sequence[int]):
    """Some of the flags, in another order."""

    def __init__(self, flags: Sequence[int], slots: Sequence[int]) -> None:
        self._flags = flags
        self._slots = slots

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._flags[self._slots[index]]

    def __len__(self) -> int:
        return len(self._slots)
