"""Streams of this server's own models over gRPC, for servers that cannot bear many through BLS.

WAR (24.10): with some eighty streams read through BLS at once the stub that reads them can stop for ever. A
thread in ResponseIterator::Next holds its iterator's lock and waits for the GIL, one in GetResponseIterator
holds the GIL and waits for the lock of the map of iterators, and the monitor of messages holds that and
waits for the iterator's, in EnqueueResponse (seen with gdb). So who starts such a server for much load says
where it listens. Goes when a server without it is the oldest one.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine, Generator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from corntriton.runtime.bls import BlsWay
from corntriton.runtime.calls import Context
from corntriton.runtime.exchange import Exchange, Given
from corntriton.runtime.remote.loop import LoopThread
from corntriton.runtime.remote.way import RemoteWay
from corntriton.runtime.replay import Task
from corntriton.runtime.settings import Target
from corntriton.runtime.tensors import Array

T = TypeVar("T")


class LoopbackWay(RemoteWay):
    """A way to call targets; see calls.py.

    Args:
        exchange: For the targets.
        bls: For what does not stream.
        address: Of this server.
    """

    def __init__(self, exchange: Exchange, bls: BlsWay, address: str) -> None:
        super().__init__(exchange)
        self._bls = bls
        self._loop = LoopThread("corntriton-loopback")
        self._server = self._loop.run(_connect(address))

    def call(self, task: Task, target: Target) -> Given:
        """Calls a unary target."""
        return self._bls.call(task, target)

    def stream(self, task: Task, target: Target) -> Generator[Given, None, None]:
        """Calls a streaming target."""
        on_over = task.replay.context.on_over
        answers = super().stream(task, target)
        try:
            yield from answers
        finally:
            on_over.pop(id(task), None)

    def close(self) -> None:
        """Ends the connection."""
        self._loop.run(self._server.client.close())
        self._loop.close()

    def _stay(self, task: Task, target: Target) -> Any:
        return _Here(task, self._server, self._loop)


class _Here:
    """A request on its own server: what a Stay is on another one."""

    def __init__(self, task: Task, server: _OwnServer, loop: LoopThread) -> None:
        self.server = server
        self._task = task
        self._context: Context = task.replay.context
        self._loop = loop

    @property
    def timeout_us(self) -> int:
        return max(1, (self._context.deadline_ns - time.monotonic_ns()) // 1000)

    def parameters(self) -> dict[str, Any]:
        return self._context.parameters

    def open(self) -> None:
        """The request owns tensors here anyway."""

    def bring(self, refs: Sequence[Array]) -> list[Array]:
        bring = self._context.refs.bring
        return [*refs] if bring is None else bring(refs)

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        running = self._loop.start(coroutine)
        self._context.on_over[id(self._task)] = running.cancel
        if not self._task.alive:  # over before it could be noted
            running.cancel()
        return running


class _OwnServer:
    """This server, which is up as long as anybody asks."""

    up = True

    def __init__(self, address: str, client: Any) -> None:
        self.address = address
        self.client = client

    async def check(self) -> None:
        """Nothing to find out."""

    def lose(self, why: str) -> None:
        """It cannot be lost."""


async def _connect(address: str) -> _OwnServer:
    from tritonclient.grpc.aio import InferenceServerClient

    from corntriton.runtime.remote.server import CHANNEL_OPTIONS

    return _OwnServer(address, InferenceServerClient(address, channel_args=[*CHANNEL_OPTIONS]))
