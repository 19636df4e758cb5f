from __future__ import annotations

import threading
import time

from corntriton.runtime.sweeper import Sweeper

PATIENCE_S = 20


class Request:
    """What the sweeper holds; ends itself when its deadline comes or its client has left."""

    def __init__(self, time_left_s: float, client_leaves_after: int = 10**9) -> None:
        self.deadline_ns = time.monotonic_ns() + int(time_left_s * 1e9)
        self.over = False
        self.asked = 0
        self.expired_ns = 0
        self.error: Exception | None = None
        self.ended = threading.Event()
        self._client_leaves_after = client_leaves_after

    def expire(self) -> None:
        self.expired_ns = time.monotonic_ns()
        self._end()

    def ask_client(self) -> None:
        self.asked += 1
        if self.asked > self._client_leaves_after:
            self._end()

    def end(self, error: Exception) -> None:
        self.error = error
        self._end()

    def _end(self) -> None:
        self.over = True
        self.ended.set()


def test_requests_expire_at_their_deadlines_and_not_before() -> None:
    sweeper = Sweeper()
    requests = [Request(time_left_s) for time_left_s in (0.2, 0.05, 600, 0.1)]
    for request in requests:
        sweeper.watch(request)
    for index in (0, 1, 3):
        assert requests[index].ended.wait(PATIENCE_S)
        assert requests[index].expired_ns >= requests[index].deadline_ns
    sweeper.close()
    assert not requests[2].over


def test_clients_are_asked_again_and_again_until_they_have_left() -> None:
    sweeper = Sweeper()
    leaving, staying = Request(600, client_leaves_after=2), Request(600)
    sweeper.watch(leaving)
    sweeper.watch(staying)
    assert leaving.ended.wait(PATIENCE_S)
    sweeper.close()
    assert leaving.asked == 3
    assert not staying.over


def test_requests_that_are_over_are_forgotten() -> None:
    sweeper = Sweeper()
    for _ in range(3000):
        request = Request(600)
        request.over = True
        sweeper.watch(request)
    assert len(sweeper._deadlines) < 1100
    sweeper.close()
    assert request.asked == 0


def test_all_that_are_held_can_be_ended() -> None:
    sweeper = Sweeper()
    requests = [Request(600) for _ in range(5)]
    for request in requests:
        sweeper.watch(request)
    requests[0].over = True
    sweeper.end_all(ValueError("stop"))
    sweeper.close()
    assert [str(request.error) for request in requests] == ["None", "stop", "stop", "stop", "stop"]
