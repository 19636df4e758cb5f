"""Pulls tensors from other servers: a foreign ref goes in, a ref to a copy in this process's arena comes out.

The bytes are written where they stay: into a slot of the arena that nobody can name before the last has come.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from corntriton.runtime.failures import DeadlineError, ServerLostError
from corntriton.runtime.shm import immediate
from corntriton.runtime.shm.errors import ArenaFullError, InvalidRefError
from corntriton.runtime.shm.layout import Tag
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.ref import HOST, Ref
from corntriton.runtime.tensors import Array
from corntriton.runtime.transfer.client import CHUNK_BYTES, Peer
from corntriton.runtime.transfer.direct import DirectReader
from corntriton.runtime.transfer.nixl import NixlError

# Each holds some chunks that wait for room in the arena, so there is an end to them.
_PULLS_AT_ONCE = 16
# Smaller ones come in one message, and it takes as many to ask where a tensor lies.
_LEAST_DIRECT_BYTES = CHUNK_BYTES + 1
_FIRST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.02
# For what is full at the deadline to be called full, not late.
_GRACE_S = 0.1


class Finder(Protocol):
    """Knows which server has which memory: a `Nodes`."""

    async def find(self, node: tuple[int, int]) -> Peer:
        """The server of a node; raises ServerLostError."""

    def forget(self, peer: Peer) -> None:
        """A server was lost."""


class Puller:
    """Copies tensors here. For one event loop.

    Args:
        memory: This process's.
        finder: Of the servers that have them.
        on_pulled: Called with the address that a tensor has come from, and its size in bytes.
        direct: Reads large tensors, where it works.
    """

    def __init__(
        self,
        memory: SharedMemory,
        finder: Finder,
        on_pulled: Callable[[str, int], None] = lambda address, nbytes: None,
        direct: DirectReader | None = None,
    ) -> None:
        self._memory = memory
        self._finder = finder
        self._on_pulled = on_pulled
        self._direct = direct
        self._gate = asyncio.Semaphore(_PULLS_AT_ONCE)

    def is_foreign(self, packed: bytes) -> bool:
        """Whether the ref names memory of another server.

        Raises:
            InvalidRefError: These bytes are no ref.
        """
        return not immediate.is_immediate(packed) and Ref.unpack(packed).node != self._memory.regions.node

    async def pull(self, packed: bytes, tag: Tag, deadline_ns: int) -> bytes:
        """The ref of a copy here; of what lies here, or in the ref itself, the ref as it is.

        Args:
            packed: From wherever it came.
            tag: The request that the copy belongs to.
            deadline_ns: On the monotonic clock.

        Raises:
            InvalidRefError: These bytes are no ref, or name memory of a GPU, which does not cross servers.
            CallError: The other server refused it, as any reader of a ref does.
            ServerLostError: That server cannot be reached, or went away meanwhile.
            ArenaFullError: There was no room before the deadline.
            TooLargeError: There never will be.
            DeadlineError: It was still on its way at the deadline.
        """
        if not self.is_foreign(packed):
            return packed
        ref = Ref.unpack(packed)
        if ref.device != HOST:
            raise InvalidRefError(
                "a ref names memory of a GPU of another server; there is one on the host beside it"
            )
        left_s = (deadline_ns - time.monotonic_ns()) / 1e9 + _GRACE_S
        try:
            return await asyncio.wait_for(self._pull(ref, packed, tag, deadline_ns), max(0.0, left_s))
        except asyncio.TimeoutError:
            raise DeadlineError(
                f"the deadline passed before {ref.nbytes} bytes had come from their server"
            ) from None

    async def _pull(self, ref: Ref, packed: bytes, tag: Tag, deadline_ns: int) -> bytes:
        peer = await self._finder.find(ref.node)
        async with self._gate:
            try:
                memory = await self._bytes(peer, ref, packed, deadline_ns)
            except ServerLostError:
                self._finder.forget(peer)
                raise
        self._on_pulled(peer.address, ref.nbytes)
        return self._memory.arena.put_bytes(memory, ref.dtype, ref.shape, tag)

    async def _bytes(self, peer: Peer, ref: Ref, packed: bytes, deadline_ns: int) -> Array:
        async def room() -> Array:
            return await self._room(ref.nbytes, deadline_ns)

        if self._direct is not None and ref.nbytes >= _LEAST_DIRECT_BYTES and self._direct.works_with(peer):
            try:
                return await self._direct.read_bytes(peer, packed, ref.nbytes, room, deadline_ns)
            except NixlError:
                pass  # which is in the log
        return await peer.read_bytes(packed, ref.nbytes, room)

    async def _room(self, nbytes: int, deadline_ns: int) -> Array:
        """Memory of the arena, as soon as there is some."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return self._memory.arena.empty((nbytes,), np.uint8)
            except ArenaFullError:
                left_s = (deadline_ns - time.monotonic_ns()) / 1e9
                if left_s <= 0:
                    raise
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
