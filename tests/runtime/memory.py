"""Shared memory for tests that need some: one file for the whole run, gone at its end."""

from __future__ import annotations

import atexit
from functools import cache

from corntriton.runtime.shm.memory import SharedMemory


@cache
def memory() -> SharedMemory:
    made = SharedMemory(64 << 20, n_requests=4096)
    atexit.register(made.close)
    return made
