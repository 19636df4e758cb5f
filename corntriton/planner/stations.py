"""Where simulated work is done: a station is instances of an executor; runs go in, and come out done.

Two sorts. A `Pool` is instances with a single batching member: one queue, whoever is free takes a batch,
as Triton does for the instances of a model. A `Group` is one instance whose members share its devices in
time, continuous-batching llms among them. Neither knows the event loop: both say when they want to be woken.

A run is a tuple (request, invocation index, work, tells); what the two first are is the caller's business. An
llm's run tells of itself at each share in `tells` of the way from its first chunk to its end.

Devices shared in time are shared fairly (processor sharing): when the batches under way want more devices
than the group has, all go on at the same fraction of their speed. An llm with n requests in it moves each
of them at the speed that the profile shows for batch n. Both are kept by virtual clocks: a clock advances
at the present speed, and what is under way ends when the clock passes a fixed reading; so a change of
speed costs no search through what is under way.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, TypeAlias

Run: TypeAlias = tuple[Any, int, float, Sequence[float]]
Noise = Callable[[], float]


@dataclass(frozen=True)
class Timing:
    """How long batches take.

    Attributes:
        latency_s: Of a batch of that size whose items have that work on average.
        speed: Of an item in a batch of that size whose items have that work, beside one that runs alone.
        first_chunk_s: To the first chunk of an item that runs alone.
        noise: Gives a factor with mean 1 for each batch; None where times do not vary.
    """

    latency_s: Callable[[int, float], float]
    speed: Callable[[int, float], float]
    first_chunk_s: Callable[[float], float]
    noise: Noise | None = None

    def batch_s(self, runs: Sequence[Run]) -> float:
        """One draw of the time that these runs take as a batch."""
        size = len(runs)
        work = runs[0][2] if size == 1 else sum([run[2] for run in runs]) / size
        mean_s = self.latency_s(size, work)
        return mean_s * self.noise() if self.noise else mean_s


class Pool:
    """Instances with one batching member each; `copies` batches at once, from one queue."""

    def __init__(self, timing: Timing, max_batch: int, copies: int) -> None:
        self._timing = timing
        self._max_batch = max_batch
        self.free = copies
        self.busy_s = 0.0
        self._copies = copies
        self._queue: deque[Run] = deque()

    def put(self, member: int, run: Run) -> None:
        """Queues a run; a pool has one member, and its runs end as a whole."""
        self._queue.append(run)

    def start(self, now_s: float) -> list[tuple[float, list[Run]]]:
        """Begins what can begin; gives when each new batch ends, and its runs."""
        begun = []
        queue = self._queue
        while self.free and queue:
            self.free -= 1
            if len(queue) <= self._max_batch:
                batch = list(queue)
                queue.clear()
            else:
                batch = [queue.popleft() for _ in range(self._max_batch)]
            taken_s = self._timing.batch_s(batch)
            self.busy_s += taken_s / self._copies
            begun.append((now_s + taken_s, batch))
        return begun

    def end(self, batch: Sequence[Run]) -> bool:
        """A batch is through; gives whether more is waiting."""
        self.free += 1
        return bool(self._queue)


_INSTANT = 1e-12
End: TypeAlias = tuple[float, int, Sequence[Run], float]  # clock reading, order, whose, share of the way


class _Batcher:
    """A member of a group that works in batches."""

    speed = 1.0

    def __init__(self, timing: Timing, max_batch: int, copies: int, devices: int) -> None:
        self.clock = 0.0
        self.ends: list[End] = []
        self.queue: deque[Run] = deque()
        self.devices = 0  # wanted by what is under way
        self.full = False  # what is queued has to wait until something ends
        self.changed = False  # there is something for begin to do
        self._devices_per_batch = devices
        self._timing = timing
        self._max_batch = max_batch
        self._copies = copies
        self._count = 0

    def begin(self) -> None:
        """Starts what can start."""
        queue = self.queue
        while queue and len(self.ends) < self._copies:
            batch = [queue.popleft() for _ in range(min(len(queue), self._max_batch))]
            self._count += 1
            heappush(self.ends, (self.clock + self._timing.batch_s(batch), self._count, batch, 1.0))
        self.full = bool(queue)
        self.changed = False
        self.devices = len(self.ends) * self._devices_per_batch

    def pop(self, passed: list[tuple[Run, float]]) -> int:
        """Takes out the runs whose end the clock has passed; gives how many."""
        ends, until, before = self.ends, self.clock + _INSTANT, len(passed)
        while ends and ends[0][0] <= until:
            passed += [(run, 1.0) for run in heappop(ends)[2]]
            self.changed = True
        return len(passed) - before


class _Continuous:
    """A member of a group that takes requests in and lets them out one by one, as llm engines do."""

    def __init__(
        self, timing: Timing, max_batch: int, copies: int, devices: int, cache_bytes: float, work_bytes: float
    ) -> None:
        self.clock = 0.0
        self.ends: list[End] = []
        self.queue: deque[Run] = deque()
        self.speed = 1.0
        self.devices = 0  # wanted by what is under way
        self.full = False  # what is queued has to wait until something ends
        self.changed = False  # there is something for begin to do
        self._timing = timing
        self._places = max_batch * copies
        self._copies = copies
        self._devices_per_copy = devices
        self._cache_bytes = cache_bytes
        self._work_bytes = work_bytes
        self._inside = 0
        self._works = 0.0
        self._count = 0

    def begin(self) -> None:
        """Lets in what fits, and goes on at the speed of the company that there is now."""
        queue = self.queue
        while queue and self._inside < self._places and self._fits(queue[0][2]):
            self._enter(queue.popleft())
        self.full = bool(queue)
        self.changed = False
        inside, copies = self._inside, self._copies
        self.devices = (inside if inside < copies else copies) * self._devices_per_copy
        if inside:
            self.speed = self._timing.speed(-(-inside // copies), self._works / inside)

    def pop(self, passed: list[tuple[Run, float]]) -> int:
        """Takes out runs at their end (1.0), or at a chunk (its share of the way there from the first).

        Gives how many have ended.
        """
        ends, until, before = self.ends, self.clock + _INSTANT, self._inside
        while ends and ends[0][0] <= until:
            _, _, (run,), share = heappop(ends)
            if share == 1.0:
                self._inside -= 1
                self._works -= run[2]
                self.changed = True
            passed.append((run, share))
        return before - self._inside

    def _enter(self, run: Run) -> None:
        timing = self._timing
        _, _, work, tells = run
        alone_s = timing.latency_s(1, work)
        if timing.noise:
            alone_s *= timing.noise()
        self._inside += 1
        self._works += work
        if tells:
            first_s = min(timing.first_chunk_s(work), alone_s)
            for share in tells:
                self._add(first_s + (alone_s - first_s) * share, run, share)
        self._add(alone_s, run, 1.0)

    def _add(self, after_s: float, run: Run, share: float) -> None:
        self._count += 1
        heappush(self.ends, (self.clock + after_s, self._count, (run,), share))

    def _fits(self, work: float) -> bool:
        """Whether the cache has room; a request too large for an empty cache is let in alone, not lost."""
        return not self._inside or (self._works + work) * self._work_bytes <= self._cache_bytes


Member: TypeAlias = "_Batcher | _Continuous"


class Group:
    """One instance of an executor whose members share `devices` devices."""

    def __init__(self, devices: int) -> None:
        self.wakes = 0  # how often it has said when to wake it: only the last word counts
        self.busy_s = 0.0
        self._members: list[Member] = []
        self.free = False  # it could begin something, or change its speed
        self._devices = devices
        self._now_s = 0.0
        self._share = 1.0  # of its speed at which everything goes on
        self._busy = 0.0  # share of the devices that work
        self._due: Member | None = None

    def add_batcher(self, timing: Timing, max_batch: int, copies: int, devices: int) -> None:
        """Adds a member that works in batches, each on `devices` devices."""
        self._members.append(_Batcher(timing, max_batch, copies, devices))

    def add_continuous(
        self, timing: Timing, max_batch: int, copies: int, devices: int, cache_bytes: float, work_bytes: float
    ) -> None:
        """Adds an llm: each copy holds up to max_batch requests, all of them cache_bytes at most."""
        self._members.append(_Continuous(timing, max_batch, copies, devices, cache_bytes, work_bytes))

    def put(self, member: int, run: Run) -> None:
        """Queues a run for a member."""
        queued = self._members[member]
        queued.queue.append(run)
        if not queued.full:
            queued.changed = self.free = True

    def start(self, now_s: float) -> float | None:
        """Begins what can begin; gives the time to be woken at, or None where nothing is under way."""
        if now_s != self._now_s:
            self._advance(now_s)
        wanted, soonest_s, due = 0, math.inf, None
        for member in self._members:
            if member.changed:
                member.begin()
            ends = member.ends
            if ends:
                wanted += member.devices
                left_s = (ends[0][0] - member.clock) / member.speed
                if left_s < soonest_s:
                    soonest_s, due = left_s, member
        devices = self._devices
        self._share = share = devices / wanted if wanted > devices else 1.0
        self._busy = wanted / devices * share
        self._due = due
        self.free = False
        self.wakes += 1
        if due is None:
            return None
        return now_s + soonest_s / share if soonest_s > 0 else now_s

    def wake(self, now_s: float) -> list[tuple[Run, float]]:
        """What has ended, or reached a chunk, by now; `start` must follow."""
        self._advance(now_s)
        if self._due is not None:  # rounding must not make a clock stop short of what it was set for
            self._due.clock = max(self._due.clock, self._due.ends[0][0])
        passed: list[tuple[Run, float]] = []
        for member in self._members:
            if member.ends:
                member.pop(passed)
        return passed

    def _advance(self, now_s: float) -> None:
        passed_s = now_s - self._now_s
        self._now_s = now_s
        if passed_s > 0 and self._busy:
            self.busy_s += passed_s * self._busy
            passed_s *= self._share
            for member in self._members:
                if member.ends:
                    member.clock += passed_s * member.speed


Station: TypeAlias = Pool | Group
