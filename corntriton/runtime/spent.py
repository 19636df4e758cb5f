"""Keeps response iterators of BLS streams until Triton's own threads have let go of them.

WAR (24.10; the same code in python_backend's main branch of July 2026): when a stream has ended, a thread of
the Python backend that does not hold the interpreter's lock erases the stream's iterator from a map
(Stub::SendCleanupId, src/pb_stub.cc). Had Python dropped the iterator before, that thread destroys the last
reference to arrays, which corrupts the heap: 8 clients that stream end the process within seconds. So Python
must drop it last. The thread works through one queue in order, and asking whether a request was cancelled
goes through the same queue: what had ended before the question may be dropped after the answer.
Goes when SendCleanupId acquires the lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class SpentStreams:
    """Iterators that have ended."""

    def __init__(self) -> None:
        self._spent: list[Any] = []
        self._lock = threading.Lock()

    def keep(self, responses: Any) -> None:
        """Keeps an iterator that has been read to its end."""
        with self._lock:
            self._spent.append(responses)

    def ask(self, is_cancelled: Callable[[], bool]) -> bool:
        """Asks Triton whether a request was cancelled, and drops what had ended before.

        Args:
            is_cancelled: Of a response sender; nobody else may ask the same one meanwhile.
        """
        with self._lock:
            spent, self._spent = self._spent, []
        cancelled = is_cancelled()
        if cancelled:
            # It may have been known without a question.
            with self._lock:
                self._spent += spent
        return cancelled
