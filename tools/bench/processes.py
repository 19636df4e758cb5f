"""A server's processes, from outside: those that run components' code, and how much memory all take."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

from corntriton.serving.traces import processes_of, traces_of

_ANONYMOUS = re.compile(r"^RssAnon:\s+(\d+) kB", re.MULTILINE)


def worker_pids(server_id: str) -> list[int]:
    """The worker processes, in which components' own code runs."""
    return [int(trace.split()[1][:-1]) for trace in traces_of(server_id) if "runtime.worker" in trace]


def anonymous_bytes(server_id: str) -> int:
    """The memory of all processes but what they share in files, arenas among them."""
    return memory_of(processes_of(server_id))


def memory_of(pids: Iterable[int]) -> int:
    """The same of these processes; of those that have ended, nothing."""
    return sum(map(_anonymous_bytes, pids))


def _anonymous_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):  # it may have ended
        found = _ANONYMOUS.search(Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0
