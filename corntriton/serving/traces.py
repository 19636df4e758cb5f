"""What a server has on this machine: its processes and its shared memory."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from corntriton.serving.warden import remove_regions

# In the environment of the server and so of every process that it starts; the value is its id.
MARK = "CORNTRITON_SERVER"
_POLL_S = 0.05


def traces_of(server_id: str) -> list[str]:
    """Each process that was started below the server, and each region in /dev/shm that is named after it."""
    regions = [str(region) for region in Path("/dev/shm").glob(f"{server_id}-*")]
    return [*(f"process {pid}: {_command(pid)}" for pid in processes_of(server_id)), *regions]


def processes_of(server_id: str) -> list[int]:
    """The ids of the processes that were started below the server, its own among them."""
    variable, found = f"{MARK}={server_id}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it may end while we look
            if variable in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def remove_traces_of(server_id: str, patience_s: float = 5.0) -> None:
    """Ends what is left of a server, and removes its shared memory: what its warden does unless killed."""
    give_up_s = time.monotonic() + patience_s
    while (left := processes_of(server_id)) and time.monotonic() < give_up_s:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_S)
    remove_regions(f"{server_id}-")


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return "ended"
