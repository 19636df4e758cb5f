"""Ends requests whose time is up, to the millisecond, or whose client has left, at a bounded cost."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from typing import Protocol

# Asking Triton whether a client has left is a message to its process and back, 0.014 ms. Young
# requests are mostly answered before the question is worth asking.
_FIRST_ASKED_NS = 100_000_000
_TURN_NS = 50_000_000
_ASKED_PER_TURN = 100
_NEVER_NS = 1 << 63


class Held(Protocol):
    """A request that is held."""

    deadline_ns: int
    over: bool

    def expire(self) -> None:
        """Its deadline has come."""

    def ask_client(self) -> None:
        """Looks whether its client has left, and ends it if so."""

    def end(self, error: Exception) -> None:
        """Ends it with an error."""


class Sweeper:
    """Watches requests from one thread."""

    def __init__(self) -> None:
        self._deadlines: list[tuple[int, int, Held]] = []
        self._to_ask: deque[tuple[int, Held]] = deque()
        self._serial = itertools.count()
        self._prune_at = 1024
        self._next_turn_ns = 0
        self._wakes_ns = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="corntriton-sweeper", daemon=True)
        self._thread.start()

    def watch(self, request: Held) -> None:
        """Watches a request until it is over."""
        ask_ns = time.monotonic_ns() + _FIRST_ASKED_NS
        with self._changed:
            heapq.heappush(self._deadlines, (request.deadline_ns, next(self._serial), request))
            self._to_ask.append((ask_ns, request))
            if len(self._deadlines) > self._prune_at:
                self._prune()
            # Waking the thread costs more than all the rest; it mostly wakes early enough by itself.
            if min(request.deadline_ns, ask_ns) < self._wakes_ns:
                self._changed.notify()

    def end_all(self, error: Exception) -> None:
        """Ends every request that is still held."""
        with self._changed:
            held = [request for _, _, request in self._deadlines if not request.over]
        for request in held:
            request.end(error)

    def close(self) -> None:
        """Stops watching."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                self._sleep()
                expired, asked = self._take_expired(), self._take_asked()
            for request in expired:
                request.expire()
            for request in asked:
                request.ask_client()

    def _sleep(self) -> None:
        """Until the next deadline or the next turn of questions, or until there is something to watch."""
        times_ns = [_NEVER_NS]
        if self._deadlines:
            times_ns.append(self._deadlines[0][0])
        if self._to_ask:
            times_ns.append(max(self._to_ask[0][0], self._next_turn_ns))
        self._wakes_ns = min(times_ns)
        pause_s = max(0, self._wakes_ns - time.monotonic_ns()) / 1e9
        self._changed.wait(None if self._wakes_ns == _NEVER_NS else pause_s)
        self._wakes_ns = 0

    def _take_expired(self) -> list[Held]:
        now_ns = time.monotonic_ns()
        expired = []
        while self._deadlines and (self._deadlines[0][2].over or self._deadlines[0][0] <= now_ns):
            request = heapq.heappop(self._deadlines)[2]
            if not request.over:
                expired.append(request)
        return expired

    def _take_asked(self) -> list[Held]:
        """The next requests in the line that are old enough; each goes to its end."""
        now_ns = time.monotonic_ns()
        if now_ns < self._next_turn_ns:
            return []
        self._next_turn_ns = now_ns + _TURN_NS
        asked: list[Held] = []
        while self._to_ask and self._to_ask[0][0] <= now_ns and len(asked) < _ASKED_PER_TURN:
            request = self._to_ask.popleft()[1]
            if not request.over:
                asked.append(request)
        self._to_ask.extend((now_ns + _FIRST_ASKED_NS, request) for request in asked)
        return asked

    def _prune(self) -> None:
        """Forgets requests that ended before their deadline, seldom enough to cost each one a constant."""
        self._deadlines = [entry for entry in self._deadlines if not entry[2].over]
        heapq.heapify(self._deadlines)
        self._prune_at = max(1024, 2 * len(self._deadlines))
