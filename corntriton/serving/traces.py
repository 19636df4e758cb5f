"""Looks for what a server has on this machine: its processes and its shared memory."""

from __future__ import annotations

import contextlib
from pathlib import Path

# In the environment of the server and so of every process that it starts; the value is its id.
MARK = "CORNTRITON_SERVER"


def traces_of(server_id: str) -> list[str]:
    """Each process that was started below the server, and each region in /dev/shm that is named after it."""
    regions = [str(region) for region in Path("/dev/shm").glob(f"{server_id}-*")]
    return [*_processes_with(f"{MARK}={server_id}"), *regions]


def _processes_with(variable: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it may end while we look
            if variable.encode() in (folder / "environ").read_bytes().split(b"\0"):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(f"process {folder.name}: {command}")
    return found
