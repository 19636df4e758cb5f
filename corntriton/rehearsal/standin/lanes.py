"""What is under way on an emulated device, by member: jobs go in; their ends come, by virtual clocks.

The rules are the simulator's (planner/stations.py), with two differences. Queues of batching members are not
here: the real batchers form the batches, so a job is a batch. And what comes is late, by what this machine
takes to hand it over: `owed_s` below.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush
from queue import SimpleQueue

from .timing import Timing

_INSTANT = 1e-12


class Job:
    """A batch, or a request inside an llm.

    Attributes:
        alone_s: What it takes with nothing beside it, in seconds of the plan.
        work: Of an llm's request.
        marks: (seconds, share) at which whoever waits is told; the last share is 1.0, the end.
        passed: Gets (when, share) as marks are passed; when is a reading of time.monotonic.
        began_s: When it began, on the same clock; 0 before.
    """

    __slots__ = ("alone_s", "began_s", "marks", "passed", "work")

    def __init__(self, alone_s: float, work: float = 0.0, marks: Sequence[tuple[float, float]] = ()) -> None:
        self.alone_s = alone_s
        self.work = work
        self.marks = (*marks, (alone_s, 1.0))
        self.passed: SimpleQueue[tuple[float, float]] = SimpleQueue()
        self.began_s = 0.0


class Lane:
    """A member that works in batches; whoever calls it forms them.

    Attributes:
        clock: In seconds of the plan at the lane's own speed.
        speed: At which the clock goes on, beside that of a job that is alone.
        wanted: Devices that what is under way would keep busy.
        freed_s: When something last ended that had to end for the next to begin; None if nothing had.
    """

    speed = 1.0

    def __init__(self, devices: int) -> None:
        self.clock = 0.0
        self.wanted = 0
        self.freed_s: float | None = None
        self.inside = 0
        self._devices = devices
        self._ends: list[tuple[float, int, Job, float]] = []
        self._count = 0

    def put(self, job: Job, now_s: float, owed_s: float) -> None:
        """Takes a job.

        Args:
            job: The job.
            now_s: The time.
            owed_s: What would be done of it by now if this machine handed jobs over in no time.
        """
        self._enter(job, now_s, owed_s)
        self.wanted = self.inside * self._devices

    def left(self) -> float | None:
        """Seconds of the clock at full speed to the next mark; None where nothing is under way."""
        return (self._ends[0][0] - self.clock) / self.speed if self._ends else None

    def pop(self, at_s: float, due: bool) -> None:
        """Tells of the marks that the clock has passed; where one is due now, rounding must not hide it."""
        if due:
            self.clock = max(self.clock, self._ends[0][0])
        before = self.inside
        while self._ends and self._ends[0][0] <= self.clock + _INSTANT:
            _, _, job, share = heappop(self._ends)
            job.passed.put((at_s, share))
            if share == 1.0:
                self._leave(job)
        if self.inside < before:
            self._ended(at_s)

    def _enter(self, job: Job, now_s: float, owed_s: float) -> None:
        job.began_s = now_s
        self.inside += 1
        for after_s, share in job.marks:
            self._count += 1
            heappush(self._ends, (self.clock + max(0.0, after_s - owed_s), self._count, job, share))

    def _leave(self, job: Job) -> None:
        self.inside -= 1

    def _ended(self, at_s: float) -> None:
        self.freed_s = at_s
        self.wanted = self.inside * self._devices


class ContinuousLane(Lane):
    """An llm: requests enter when there is a place and room in the cache, and leave one by one."""

    def __init__(
        self, timing: Timing, devices: int, copies: int, places: int, cache_bytes: float, work_bytes: float
    ) -> None:
        super().__init__(devices)
        self._timing = timing
        self._copies = copies
        self._places = places * copies
        self._cache_bytes = cache_bytes
        self._work_bytes = work_bytes
        self._works = 0.0
        self._queue: deque[Job] = deque()

    def put(self, job: Job, now_s: float, owed_s: float) -> None:
        """Takes a job; it waits if there is no room."""
        if self._queue or not self._fits(job):
            self._queue.append(job)
            return
        self._works += job.work
        self._enter(job, now_s, owed_s)
        self._pace()

    def _fits(self, job: Job) -> bool:
        """As in the simulator, a request too large for an empty cache is let in alone, not lost."""
        if not self.inside:
            return True
        room = (self._works + job.work) * self._work_bytes <= self._cache_bytes
        return self.inside < self._places and room

    def _leave(self, job: Job) -> None:
        super()._leave(job)
        self._works -= job.work

    def _ended(self, at_s: float) -> None:
        was_full = not self._queue and self.inside == self._places - 1
        self.freed_s = at_s if was_full else None
        while self._queue and self._fits(self._queue[0]):
            job = self._queue.popleft()
            self._works += job.work
            self._enter(job, at_s, 0.0)
        self._pace()

    def _pace(self) -> None:
        self.wanted = min(self.inside, self._copies) * self._devices
        if self.inside:
            self.speed = self._timing.speed(-(-self.inside // self._copies), self._works / self.inside)
