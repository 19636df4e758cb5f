"""The worker process: holds the user's component and answers the host until the host closes the channel.

It is not the process that Triton starts, because Triton never replaces that one: since 24.06 a stub that
died is "not healthy" for ever, each request to it fails after a second, and the server stays READY
(https://github.com/triton-inference-server/python_backend/pull/360 removed the restart, and
https://github.com/triton-inference-server/server/issues/8604 asks for it back).
"""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import os
import signal
import socket

from corntriton.runtime.answer import failure_of
from corntriton.runtime.channel import Channel
from corntriton.runtime.executor import Executor
from corntriton.runtime.messages import Loaded, Order
from corntriton.runtime.work import Work, load_work

# On it the worker writes the stacks of all its threads to the log, even while one of them hangs in C.
DUMP_SIGNAL = signal.SIGUSR1
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(channel_fd: int, flags_fd: int, parent_pid: int) -> None:
    """Loads what the host's order names, then serves.

    Args:
        channel_fd: The socket to the host.
        flags_fd: Memory shared with it: the cancel flags, one byte each.
        parent_pid: The host's process.
    """
    _live_as_long_as(parent_pid)
    channel = Channel(socket.socket(fileno=channel_fd))
    order = channel.receive()
    assert isinstance(order, Order)  # the host's first message
    try:
        work = load_work(order, channel.send, memoryview(mmap.mmap(flags_fd, 0)))
    except Exception as error:
        channel.send(failure_of(error))
        return
    channel.send(Loaded())
    _serve(channel, work)
    work.close()


def _live_as_long_as(parent_pid: int) -> None:
    # A Ctrl-C reaches the whole process group; the server decides when its models end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    faulthandler.enable()
    faulthandler.register(DUMP_SIGNAL, all_threads=True)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before the line above
        os._exit(1)


def _serve(channel: Channel, work: Work | Executor) -> None:
    try:
        while (message := channel.receive()) is not None:
            work.handle(message)
    except (EOFError, BrokenPipeError):
        return
