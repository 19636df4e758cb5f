"""Keeps a worker process running: replaces one that ended; one that cannot load, ever more seldom."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from corntriton.runtime.inline import InlineWorker
from corntriton.runtime.messages import PROCESS_ENDED, Call, Failure, Loaded
from corntriton.runtime.process import WorkerProcess
from corntriton.runtime.watchdog import late_s

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


Worker = WorkerProcess | InlineWorker


class Died(NamedTuple):
    """In place of a message: the worker ended, and with it all that it worked on."""

    how: str


class Keeper:
    """Holds the current worker. One thread steps; others may read `worker`, then `loaded`, in this order.

    Attributes:
        worker: The current one, perhaps still loading, perhaps dead for a moment.
        loaded: It takes requests.
        load_failure: Why the last one could not load.
    """

    def __init__(self, spawn: Callable[[], Worker]) -> None:
        self._spawn = spawn
        self.worker = spawn()
        self.loaded = threading.Event()
        self.load_failure: Failure | None = None
        self._pause_s = 0.0
        self._respawn_at_s: float | None = None

    def step(self, timeout_s: float) -> Any:
        """Waits a little for the worker: its next message, or Died, or None."""
        if self._respawn_at_s is not None:
            return self._await_respawn(timeout_s)
        try:
            message = self.worker.receive(timeout_s)
        except EOFError:
            return self._replace()
        if isinstance(message, Loaded):
            self._pause_s, self.load_failure = 0.0, None
            self.loaded.set()
            return None
        if isinstance(message, Failure):
            self.load_failure = message
            return None
        return message

    def refusal(self, calls: Iterable[Call]) -> Failure | None:
        """While no worker is loaded: why these calls cannot wait for it, or None if they can."""
        if self.load_failure is not None:
            text = f"{PROCESS_ENDED}, and a new one does not load: {self.load_failure.text}"
            return Failure("UNAVAILABLE", text)
        if late_s(calls) > 0:
            return Failure("UNAVAILABLE", "the deadline passed while its process was being replaced")
        return None

    def stop(self) -> None:
        """Ends the worker in order."""
        self.loaded.clear()
        self.worker.stop()

    def _replace(self) -> Died:
        died = Died(self.worker.bury())
        if self.loaded.is_set():
            self.loaded.clear()
            self.worker = self._spawn()
            return died
        if self.load_failure is None:
            self.load_failure = Failure("UNAVAILABLE", f"its process ended while it loaded ({died.how})")
        self._pause_s = min(max(2 * self._pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        self._respawn_at_s = time.monotonic() + self._pause_s
        return died

    def _await_respawn(self, timeout_s: float) -> None:
        assert self._respawn_at_s is not None  # the caller looked
        pause_s = self._respawn_at_s - time.monotonic()
        if pause_s > 0:
            time.sleep(min(pause_s, timeout_s))
            return
        self._respawn_at_s, self.load_failure = None, None
        self.worker = self._spawn()
