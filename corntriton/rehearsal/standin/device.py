"""An emulated device group: jobs of all members of an executor share its time, fairly, as the plan says.

If what is under way wants more devices than there are, all goes on at the same fraction of its speed. Time
is kept by the events, not by when this machine came round to them: a job ends when it should have ended, and
what follows goes on from there. So lateness of threads does not add up, and a group that is always busy does
exactly what it would do.
"""

from __future__ import annotations

import threading
import time

from .lanes import Job, Lane


class Device:
    """The devices of one instance.

    Args:
        devices: How many.
        slower: Real seconds for each second of the plan.
        hand_over_s: What comes so soon after something ended that had to end first is taken to have waited
            for it: this machine handed the batch, or the place, over. Real seconds. If it is longer than that
            takes, work that really came then is given time that it never had.
    """

    def __init__(self, devices: int, slower: float, hand_over_s: float = 0.0) -> None:
        self._devices = devices
        self._slower = slower
        self._hand_over_s = hand_over_s
        self._lanes: list[Lane] = []
        self._settled_s = time.monotonic()
        self._share = 1.0
        self._busy = 0.0
        self._busy_s = 0.0
        self._news = threading.Condition()
        threading.Thread(target=self._run, name="device", daemon=True).start()

    def add(self, lane: Lane) -> None:
        """Another member shares the devices."""
        with self._news:
            self._lanes.append(lane)

    def start(self, lane: Lane, job: Job) -> None:
        """Takes a job; its marks are told as they are passed."""
        with self._news:
            now_s = time.monotonic()
            before_s = self._settle(now_s)
            lane.put(job, now_s, self._owed_s(lane, now_s))
            lane.freed_s = None
            after_s = self._settle(now_s)
            if after_s is not None and (before_s is None or after_s < before_s):
                self._news.notify()

    @property
    def busy_s(self) -> float:
        """Real seconds that the devices have worked so far; half of them for a second is half a second."""
        with self._news:
            self._settle(time.monotonic())
            return self._busy_s

    def _owed_s(self, lane: Lane, now_s: float) -> float:
        if lane.freed_s is None or now_s - lane.freed_s > self._hand_over_s:
            return 0.0
        return (now_s - lane.freed_s) * self._share / self._slower

    def _run(self) -> None:
        with self._news:
            while True:
                due_s = self._settle(time.monotonic())
                self._news.wait(None if due_s is None else max(0.0, due_s - time.monotonic()))

    def _settle(self, now_s: float) -> float | None:
        """Goes through all that happened up to now; gives when the next mark is passed."""
        while True:
            due_s, lane = self._next()
            if lane is None or due_s > now_s:
                self._advance(max(now_s, self._settled_s))
                return due_s if lane is not None else None
            self._advance(due_s)
            for each in self._lanes:
                each.pop(due_s, due=each is lane)

    def _next(self) -> tuple[float, Lane | None]:
        wanted = sum(lane.wanted for lane in self._lanes)
        self._share = min(1.0, self._devices / wanted) if wanted else 1.0
        self._busy = min(1.0, wanted / self._devices)
        soonest_s, due = 0.0, None
        for lane in self._lanes:
            left_s = lane.left()
            if left_s is not None and (due is None or left_s < soonest_s):
                soonest_s, due = left_s, lane
        return self._settled_s + max(0.0, soonest_s) * self._slower / self._share, due

    def _advance(self, to_s: float) -> None:
        passed_s = to_s - self._settled_s
        self._settled_s = to_s
        self._busy_s += passed_s * self._busy
        for lane in self._lanes:
            if lane.left() is not None:
                lane.clock += passed_s / self._slower * self._share * lane.speed
