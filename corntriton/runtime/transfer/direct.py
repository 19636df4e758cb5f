"""Reads tensors straight from other servers' memory, by NIXL: a ref goes in, its bytes are in the own arena.

Whether it works with a server is tried aside, while its tensors come over gRPC, as they do when it fails.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from corntriton.runtime.failures import CallError
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.tensors import Array
from corntriton.runtime.transfer.client import Peer
from corntriton.runtime.transfer.exports import CLAIM_S, TRIAL_BYTES
from corntriton.runtime.transfer.nixl import Agent, NixlError, Read, address_of

_TRIAL_S = 5.0
# A server with which it did not work may do so later: another one may be at its address.
_AGAIN_S = 60.0
# What takes longer comes over gRPC after all: where an interface goes that UCX has chosen, a read hangs until
# the timers of TCP end it (a veth that came and went: up to 57 s).
_PATIENCE_S = 2.0
_LEAST_BYTES_PER_S = 20e6
_PAUSE_S = 0.001
_LONG_PAUSE_S = 0.05


class DirectReader:
    """Reads into this process's arena. For one event loop.

    Args:
        agent: This process's.
        memory: This process's.
        log: Called with what is worth a line of the log.
    """

    def __init__(self, agent: Agent, memory: SharedMemory, log: Callable[[str], None]) -> None:
        self._agent = agent
        self._memory = memory
        self._log = log
        self._registered_bytes = 0
        self._versions: dict[str, str] = {}  # by address: of the metadata that is known
        self._working: set[str] = set()
        self._again_at_s: dict[str, float] = {}
        self._trial = np.zeros(TRIAL_BYTES, np.uint8)
        self._trying = asyncio.Lock()
        agent.register(address_of(self._trial), TRIAL_BYTES)
        self._tasks: set[asyncio.Task[None]] = set()

    def works_with(self, peer: Peer) -> bool:
        """Whether a server's tensors can be read so; where that is not known, it is tried, for later ones."""
        if peer.address in self._working:
            return True
        now_s = time.monotonic()
        if "nixl" in peer.transports and now_s >= self._again_at_s.get(peer.address, now_s):
            self._again_at_s[peer.address] = now_s + _AGAIN_S
            self._aside(self._try(peer))
        return False

    async def read_bytes(
        self, peer: Peer, ref: bytes, nbytes: int, room: Callable[[], Awaitable[Array]], deadline_ns: int
    ) -> Array:
        """As Peer.read_bytes.

        Raises:
            NixlError: It did not work; from now on the server's tensors come over gRPC.
            CallError: As Peer.
        """
        until_s = deadline_ns / 1e9

        async def registered() -> Array:
            memory = await room()
            self._register(memory)
            return memory

        try:
            return await self._read(peer, ref, registered, until_s, nbytes / _LEAST_BYTES_PER_S)
        except NixlError as error:
            self._stop_using(peer, str(error))
            raise

    async def close(self) -> None:
        """Stops what goes on aside."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _try(self, peer: Peer) -> None:
        async with self._trying:

            async def room() -> Array:
                return self._trial

            try:
                await self._read(peer, None, room, time.monotonic() + _TRIAL_S, _TRIAL_S)
            except (CallError, NixlError) as error:
                self._stop_using(peer, str(error))
                return
        self._working.add(peer.address)
        self._log(f"large tensors of the server {peer.address} come by NIXL from now on")

    async def _read(
        self,
        peer: Peer,
        ref: bytes | None,
        room: Callable[[], Awaitable[Array]],
        until_s: float,
        time_s: float,
    ) -> Array:
        """Asks for the place until a time, then for room, and then reads for a time."""
        until_s = min(until_s, time.monotonic() + CLAIM_S)
        timeout_us = max(0, int((until_s - time.monotonic()) * 1e6))
        try:
            place = await peer.open(ref, self._versions.get(peer.address, ""), timeout_us)
        except CallError as error:
            if error.code == "UNSUPPORTED":
                raise NixlError(str(error)) from None
            raise
        read = None
        try:
            if "metadata" in place:
                self._agent.meet(base64.b64decode(place["metadata"]))
                self._versions[peer.address] = place["version"]
            memory = await room()
            until_s = min(until_s, time.monotonic() + _PATIENCE_S + time_s)
            read = self._agent.read(memory, place["agent"], place["address"], place["notice"].encode())
            del memory  # now the read's, whatever remembers this frame
            while not read.is_over():
                _check_time(until_s)
                await asyncio.sleep(_PAUSE_S)
        except BaseException:
            self._aside(_give_up(peer, place, read))
            raise
        memory = read.take()
        _check_time(until_s)  # or something else could lie there by now
        return memory

    def _register(self, memory: Array) -> None:
        """All of the arena, as far as it has grown."""
        base, capacity_bytes = self._memory.arena.place
        if address_of(memory) + memory.nbytes > base + self._registered_bytes:
            self._agent.register(base, capacity_bytes)
            self._registered_bytes = capacity_bytes

    def _stop_using(self, peer: Peer, why: str) -> None:
        self._working.discard(peer.address)
        self._again_at_s[peer.address] = time.monotonic() + _AGAIN_S
        self._log(
            f"tensors of the server {peer.address} come over gRPC, as NIXL does not work with it: {why}"
        )

    def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _give_up(peer: Peer, place: Mapping[str, Any], read: Read | None) -> None:
    """Keeps memory that may still be written to until it is not, and tells the server to keep nothing."""
    with suppress(NixlError):
        while read is not None and not read.is_over():
            await asyncio.sleep(_LONG_PAUSE_S)
    with suppress(CallError):
        await peer.close(place["notice"])


def _check_time(until_s: float) -> None:
    if time.monotonic() > until_s:
        raise NixlError("a read took too long")
