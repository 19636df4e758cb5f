"""Worker threads, made when they are needed and kept; functions go in, nothing comes out."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable

Job = Callable[[], object]


class Workers:
    """Runs jobs at once while fewer than `limit` are under way; more wait for a thread.

    Leaner than ThreadPoolExecutor: no future per job, which costs as much as the rest of a hop.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._threads = 0
        self._idle = 0
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()

    def submit(self, job: Job) -> None:
        """Runs the job on some thread, soon."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1  # spoken for: the next job must not count on the same thread
            elif self._threads < self._limit:
                self._threads += 1
                self._start()
            else:
                self._idle -= 1
        self._jobs.put(job)

    def close(self) -> None:
        """Ends every thread once it is idle; jobs submitted before are run."""
        with self._lock:
            threads, self._threads = self._threads, 0
        for _ in range(threads):
            self._jobs.put(None)

    def _start(self) -> None:
        threading.Thread(target=self._run, name=f"{self._name}-{self._threads}", daemon=True).start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:
                # A job answers for its own errors; one that escapes must not cost a thread.
                traceback.print_exc()
            with self._lock:
                self._idle += 1
