"""Bounds what is under way: so many invocations per component at once; the others wait in its queue.

Triton's BLS has no backpressure of its own: what is asked for is queued inside the server, where it
can neither be dropped when its request ends nor be seen.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from corntriton.runtime.settings import OrchestratorSettings, Target

# The Python backend's parent process answers each blocking BLS call, and each response sent, on a
# thread of this pool: https://github.com/triton-inference-server/python_backend (thread-pool-size).
DEFAULT_POOL_THREADS = 32
_SPARE_POOL_THREADS = 8
_MOST_POOL_THREADS = 512
# Those in front, which fit or are next.
_LOOKS = 32


class Waiter(Protocol):
    """What may wait at a gate."""

    @property
    def alive(self) -> bool:
        """False once nobody wants it any more."""


W = TypeVar("W", bound=Waiter)


class Gate(Generic[W]):
    """Admits at most `limit` at once and keeps the others in order."""

    def __init__(self, limit: int) -> None:
        self.in_flight = 0
        self._limit = limit
        self._queue: deque[W] = deque()
        self._sweep_at = 64
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """How many wait; those whose request has ended count until they are swept."""
        return len(self._queue)

    def enter(self, waiter: W) -> bool:
        """Admits the waiter, or queues it and gives False: whoever leaves will pass it on."""
        with self._lock:
            if self.in_flight < self._limit:
                self.in_flight += 1
                return True
            if len(self._queue) >= self._sweep_at:
                self._sweep()
            self._queue.append(waiter)
            return False

    def join(self, fits: Callable[[W], bool], most: int) -> list[W]:
        """Takes some of those that wait and fit, to go along with one that was admitted, in its place."""
        if not self._queue:
            return []
        found: list[W] = []
        with self._lock:
            passed: list[W] = []
            while self._queue and len(found) < most and len(passed) < _LOOKS:
                waiter = self._queue.popleft()
                if waiter.alive:
                    (found if fits(waiter) else passed).append(waiter)
            self._queue.extendleft(reversed(passed))
        return found

    def leave(self) -> W | None:
        """Gives the place to the next that waits and returns it, or frees the place."""
        with self._lock:
            while self._queue:
                waiter = self._queue.popleft()
                if waiter.alive:
                    return waiter
            self.in_flight -= 1
            return None

    def _sweep(self) -> None:
        """Forgets the dead, seldom enough to cost each waiter a constant."""
        self._queue = deque(waiter for waiter in self._queue if waiter.alive)
        self._sweep_at = max(64, 2 * len(self._queue))


def calls_at_once(target: Target) -> int:
    """How many calls to be ready for: paths seldom visit more sets of members than there are members."""
    return target.max_in_flight * max(1, len(target.members))


def thread_pool_size(orchestrators: Iterable[OrchestratorSettings]) -> int:
    """The Python backend's `thread-pool-size` with which no orchestrator waits for a thread of its parent.

    The flag holds for every Python model of the server, and each instance starts that many threads, which
    take turns: more of them than are needed cost every call time (a third of a 64-byte request's, of 104
    in place of 16). Hence the cap, beyond which calls wait in the server, slower but not wrong; and hence
    ensembles do not count, as they run on the very instances that their components' limits are for. Calls of
    other servers do not pass through it.
    """
    wanted = max((_calls(one.targets.values()) for one in orchestrators), default=0)
    return min(_MOST_POOL_THREADS, max(DEFAULT_POOL_THREADS, wanted + _SPARE_POOL_THREADS))


def _calls(targets: Iterable[Target]) -> int:
    return sum(calls_at_once(target) for target in targets if not target.ensemble and not target.server)
