"""What one request does on other servers: which server of each role it has drawn, and what it has there.

visit.at(role) ─> Stay ── bring(refs), open() ──> a lease there, refs that are good there
                   └───── run(call) ────────────> its result, unless the request is over or it was lost
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import numpy as np

from corntriton.runtime.failures import CallError, ClientLeftError, ServerLostError
from corntriton.runtime.remote.faults import doubted
from corntriton.runtime.remote.loop import LoopThread, outcome
from corntriton.runtime.remote.server import Server
from corntriton.runtime.remote.servers import Servers
from corntriton.runtime.shm import immediate
from corntriton.runtime.shm.credential import PARAMETER as OWNER_PARAMETER
from corntriton.runtime.shm.ref import REF_BYTES, Ref
from corntriton.runtime.tensors import Array

TIMEOUT_PARAMETER = "corntriton_timeout_us"
T = TypeVar("T")
# A host says so of a lease that has ended, or of what was made for it: its server began anew, or was out of
# reach for too long. (All refs that a request's calls carry are such as components gave.)
_FORGOTTEN = ("the owner parameter ", "a ref names ")
# A transfer model says so when it cannot reach the server that it has to pull from.
_WAS_LOST = " was lost"


class Visit:
    """One request on other servers, or one attempt at it.

    Args:
        servers: To draw from.
        loop: Theirs.
        node: Where this process's shared memory lies.
        owner: The request's credential, for servers that share this memory.
        deadline_ns: The request's, on the monotonic clock.
    """

    def __init__(
        self, servers: Servers, loop: LoopThread, node: tuple[int, int], owner: str, deadline_ns: int
    ) -> None:
        self._servers = servers
        self._loop = loop
        self._node = node
        self._owner = owner
        self._deadline_ns = deadline_ns
        self._stays: dict[str, Stay] = {}
        self._over = False
        self._lock = threading.Lock()

    def at(self, role: str) -> Stay:
        """The request on a server of this role, which it keeps.

        Raises:
            ServerLostError: None is up, or the one that it had drawn was lost.
            ClientLeftError: The request is over.
        """
        with self._lock:
            if self._over:
                raise ClientLeftError("it is over")
            stay = self._stays.get(role)
            if stay is None:
                server = self._servers.draw(role)
                shared = self._owner if server.node == self._node else None
                stay = self._stays[role] = Stay(server, self._loop, shared, self._deadline_ns)
        stay.check()
        return stay

    @property
    def servers(self) -> list[Server]:
        """Those that it has drawn."""
        return [stay.server for stay in [*self._stays.values()]]

    def end(self) -> None:
        """The request is over: ends its calls, then its leases."""
        with self._lock:
            if self._over:
                return
            self._over = True
            stays = [*self._stays.values()]
        for stay in stays:
            self._servers.put_back(stay.server)
            self._loop.soon(stay.end)


class Stay:
    """One request on one server.

    Attributes:
        server: Which.

    Args:
        server: See above.
        loop: Its event loop.
        shared: The request's credential, where that server has the same shared memory; else None.
        deadline_ns: The request's, on the monotonic clock.
    """

    def __init__(self, server: Server, loop: LoopThread, shared: str | None, deadline_ns: int) -> None:
        self.server = server
        self._loop = loop
        self._is_local = shared is not None
        self._owner = shared
        self._deadline_ns = deadline_ns
        self._n_losses = server.losses
        self._opening = asyncio.Lock()
        self._here: dict[bytes, bytes] = {}  # refs, and those to their copies there
        self._calls: set[asyncio.Task[Any]] = set()
        self._over = False

    @property
    def lost(self) -> bool:
        """The server was lost since the request has drawn it."""
        return self.server.losses != self._n_losses

    @property
    def timeout_us(self) -> int:
        """How much time the request has left."""
        return max(1, (self._deadline_ns - time.monotonic_ns()) // 1000)

    def check(self) -> None:
        """Raises ServerLostError where it was."""
        if self.lost:
            raise ServerLostError(f"server {self.server.address} was lost: {self.server.why_lost}")

    def parameters(self) -> dict[str, Any]:
        """What its calls there carry."""
        owner = {} if self._owner is None else {OWNER_PARAMETER: self._owner}
        return {TIMEOUT_PARAMETER: self.timeout_us, **owner}

    def open(self) -> None:
        """Sees to it that the request owns tensors there."""
        if self._owner is None:
            self.run(self._bring([]))

    def bring(self, refs: Sequence[Array]) -> list[Array]:
        """Refs to the same tensors, on that server: see `Bring` of part.py."""
        if self._is_local:
            return [*refs]
        packed = [rows(each) for each in refs]
        missing = {one for each in packed for one in each if not self._is_there(one)}
        if missing:
            self.run(self._bring([*missing]))
        here = self._here
        return [
            np.frombuffer(b"".join(here.get(one, one) for one in each), np.uint8).reshape(array.shape)
            for each, array in zip(packed, refs, strict=True)
        ]

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What a coroutine returns that calls the server; for threads.

        Raises:
            CallError: The server refused, or what it ran failed.
            ServerLostError: It was lost meanwhile.
            ClientLeftError: The request is over.
        """
        return outcome(self.start(coroutine))

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Runs it without waiting; see `outcome` of loop.py."""
        return self._loop.start(self._watched(coroutine))

    def end(self) -> None:
        """The request is over; on the event loop."""
        self._over = True
        for call in [*self._calls]:
            call.cancel()
        self._leave()

    async def _watched(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Is cancelled when the request is over, or the server lost."""
        call = asyncio.current_task()
        assert call is not None  # this is a coroutine
        if self._over or self.lost:
            coroutine.close()
            self.check()
            raise asyncio.CancelledError
        self._calls.add(call)
        self.server.enter(call)
        try:
            return await coroutine
        except asyncio.CancelledError:
            self.check()
            raise
        except CallError as error:
            raise self._judged(error) from None
        finally:
            self.server.leave(call)
            self._calls.discard(call)
            self._leave()

    def _leave(self) -> None:
        """Ends the lease when the request is over and nothing is under way."""
        if self._over and not self._calls and self._owner is not None and not self._is_local:
            self.server.leases.release(self._owner)
            self._owner = None

    def _judged(self, error: CallError) -> CallError:
        """The loss of a server that an error amounts to, or else the error."""
        self.check()
        if not self._is_local and any(sign in str(error) for sign in _FORGOTTEN):
            return ServerLostError(f"server {self.server.address} has forgotten the request: {error}")
        return error

    def _is_there(self, packed: bytes) -> bool:
        if packed in self._here or immediate.is_immediate(packed):
            return True
        return Ref.unpack(packed).node == self.server.node

    async def _bring(self, refs: list[bytes]) -> None:
        self._owner = self._owner or self.server.leases.take()
        if self._owner is None:
            async with self._opening:
                if self._owner is None:
                    await self._ask(refs)
                    return
        if refs:
            await self._ask(refs)

    async def _ask(self, refs: list[bytes]) -> None:
        try:
            owner, brought = await self.server.peer.bring(self._owner, refs, self.timeout_us)
        except ServerLostError as error:
            self.server.lose(str(error))
            raise
        except CallError as error:
            raise await doubted(self.server, as_loss(error)) from None
        if self._owner is None:
            self._owner = owner
            self.server.leases.keep(owner)
        self._here.update(zip(refs, brought, strict=True))


def as_loss(error: CallError) -> CallError:
    """The loss of a server that a refused ref amounts to, or else the error.

    The refs of requests are those that components gave: where one is wrong, what it names has gone, with the
    server or the process that had it.
    """
    gone = error.code == "INVALID_ARG" or _WAS_LOST in str(error)
    return ServerLostError(str(error)) if gone else error


def rows(refs: Array) -> list[bytes]:
    """The refs in an array of them."""
    return [row.tobytes() for row in refs.reshape(-1, REF_BYTES)]
