"""A worker process as the host sees it: spawned, spoken to, ended, and what it died of."""

from __future__ import annotations

import mmap
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import corntriton
from corntriton.runtime.channel import Channel
from corntriton.runtime.messages import Message, Order
from corntriton.runtime.worker import DUMP_SIGNAL

# The first folder of sys.path is where this very package lies: in the model's zip, or in a checkout.
_MAIN = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from corntriton.runtime.worker import main; main(*map(int, sys.argv[2:]))"
)
_DUMP_S = 0.3
_EXIT_S = 20.0


class WorkerProcess:
    """One worker process.

    Attributes:
        flags: One byte per request at work; set to 1 when it is cancelled.
    """

    def __init__(self, order: Order, n_flags: int) -> None:
        ours, theirs = socket.socketpair()
        flags_fd = os.memfd_create("corntriton-flags")
        os.ftruncate(flags_fd, n_flags)
        self.flags = mmap.mmap(flags_fd, n_flags)
        self._process = subprocess.Popen(
            [
                *(sys.executable or shutil.which("python3") or "python3", "-u", "-c", _MAIN),
                str(Path(corntriton.__file__).parent.parent),
                *(str(theirs.fileno()), str(flags_fd), str(os.getpid())),
            ],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), flags_fd),
        )
        theirs.close()
        os.close(flags_fd)
        self._channel = Channel(ours)
        self._end_reason = ""
        self._buried = False
        self.send(order)

    @property
    def ended(self) -> bool:
        """It is dead, though receive may not have said so yet."""
        # While another thread waits for the process, poll says that it lives.
        return self._buried or self._process.poll() is not None

    def send(self, message: Message) -> None:
        """Raises nothing if the worker is gone: receive says so."""
        try:
            self._channel.send(message)
        except OSError:
            return

    def receive(self, timeout_s: float) -> Message | None:
        """The next message, or None; EOFError once the worker is gone."""
        return self._channel.receive(timeout_s)

    def end(self, reason: str) -> None:
        """Has it write its threads' stacks to the log, then kills it: nothing milder ends a hung process."""
        self._end_reason = reason
        self._process.send_signal(DUMP_SIGNAL)
        time.sleep(_DUMP_S)
        self._process.kill()

    def bury(self) -> str:
        """After EOFError: frees what it held and says what it died of."""
        self._buried = True
        self._channel.close()
        self._kill_after(_DUMP_S)
        status = self._process.returncode
        if self._end_reason:
            return self._end_reason
        return f"killed by {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"

    def stop(self) -> None:
        """Has it unload, and waits for it."""
        self._channel.close()
        self._kill_after(_EXIT_S)

    def _kill_after(self, timeout_s: float) -> None:
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
