"""Runs tritonserver for a parent process and leaves nothing behind, whichever of the two ends first.

A script of its own, standard library only, started as `python -I -S warden.py JSON` in its own session. It
stays between corntriton and tritonserver because tritonserver ends neither its stubs nor their shared memory
when it is killed, and cannot notice that corntriton was. JSON is an object with `command`, `exit_timeout_s`
and `shm_prefix`. Its stdin is the lifeline: when the parent closes it, or dies, or sends SIGTERM, the server
is asked to stop, and is killed when it takes longer than `exit_timeout_s`. Exits with the server's exit
status (128 + n after signal n), or 127 when it could not be started.

    parent ──stdin closes──> warden ──SIGTERM, later SIGKILL──> tritonserver, stubs, what they started
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    """Runs the server until it ends or is to end, then cleans up after it."""
    order = json.loads(sys.argv[1])
    # Orphans of the server become children of this process, so that none can get away.
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    wake_r, wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_w)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    try:
        # With SIGPIPE ignored the server still stops in order when the reader of its log is gone.
        server = subprocess.Popen(
            order["command"], stdin=subprocess.DEVNULL, restore_signals=False, preexec_fn=_die_with_warden
        )
    except OSError as error:
        print(f"cannot start {order['command'][0]}: {error}", flush=True)
        return 127
    try:
        return _run(server.pid, order["exit_timeout_s"], wake_r)
    finally:
        _kill_descendants()
        remove_regions(order["shm_prefix"])


def _run(server: int, exit_timeout_s: float, wake_r: int) -> int:
    """The server's exit status; returns when it has ended."""
    watched = [sys.stdin.fileno(), wake_r]
    kill_at_s = float("inf")
    while True:
        left_s = kill_at_s - time.monotonic()
        ready, _, _ = select.select(watched, [], [], None if left_s == float("inf") else max(0.0, left_s))
        stop = sys.stdin.fileno() in ready
        if wake_r in ready:
            numbers = os.read(wake_r, 512)
            stop = stop or signal.SIGTERM in numbers or signal.SIGINT in numbers
        status = _reap(server)
        if status is not None:
            return status
        if stop and len(watched) == 2:
            watched = [wake_r]
            kill_at_s = time.monotonic() + exit_timeout_s
            os.kill(server, signal.SIGTERM)
        elif time.monotonic() >= kill_at_s:
            os.kill(server, signal.SIGKILL)


def _reap(server: int) -> int | None:
    """Collects ended children; the server's status when it is among them."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == server:
                code = os.waitstatus_to_exitcode(status)
                found = code if code >= 0 else 128 - code
    return found


def _kill_descendants() -> None:
    """Kills what is left, generation by generation, until nothing is."""
    while descendants := _descendants(os.getpid()):
        for pid in descendants:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _descendants(root: int) -> list[int]:
    """Process ids below root, zombies that are not root's own children left out."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                # The second field, the name in parentheses, may hold anything; the parent's id is the
                # second one behind it (proc_pid_stat(5)).
                state, parent = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z" or int(parent) == root:
                    parents[int(entry)] = int(parent)
    found = [pid for pid, parent in parents.items() if parent == root]
    for pid in found:  # grows while it is walked
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def remove_regions(prefix: str) -> None:
    """Removes the shared memory that the server's Python backend has left, and the server's own folder."""
    for region in Path("/dev/shm").glob(prefix + "*"):
        if region.is_dir():
            shutil.rmtree(region, ignore_errors=True)
        else:
            region.unlink(missing_ok=True)


def _die_with_warden() -> None:
    """Runs in the child before exec: SIGTERM comes when the warden itself is killed."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    sys.exit(main())
