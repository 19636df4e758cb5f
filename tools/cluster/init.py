"""The first process of a pod: mounts its /dev/shm, runs one command, collects orphans, ends all with itself.

A script of its own, standard library only, started in new namespaces as `python -I -S init.py JSON`. JSON is
an object with `command` and `shm_bytes`. It says its first line when its mounts are there, and then does what
it reads, byte by byte: `r`, run the command; `h`, halt it with SIGTERM. In between, the pod is joined to its
networks, and looked into after the command's end. It ends when its stdin does, or is killed, and the kernel
kills what is left in the pod.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys


def main() -> None:
    """Returns when the pod is to end."""
    order = json.loads(sys.argv[1])
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={order['shm_bytes']}", "shm", "/dev/shm"], check=True
    )
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    wake_r, wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_w)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    os.write(3, b"mounted\n")
    os.close(3)
    _obey(order["command"], wake_r)


def _obey(words: list[str], wake_r: int) -> None:
    command: subprocess.Popen[bytes] | None = None
    while True:
        ready, _, _ = select.select([0, wake_r], [], [])
        if wake_r in ready:
            os.read(wake_r, 512)
            _reap(command)
        if 0 in ready:
            order = os.read(0, 1)
            if not order:
                return
            if order == b"r":
                command = subprocess.Popen(words, stdin=subprocess.DEVNULL)
            elif command is not None and command.poll() is None:
                command.send_signal(signal.SIGTERM)


def _reap(command: subprocess.Popen[bytes] | None) -> None:
    """Collects ended processes, orphans of the pod among them."""
    if command is not None:
        command.poll()  # before its status is taken from it
    with contextlib.suppress(ChildProcessError):
        while (command is None or command.returncode is not None) and os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    main()
