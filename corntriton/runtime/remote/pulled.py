"""Tensors of one request that lie on other nodes, for readers here: pulled once, however many read them.

What components are to read goes into this process's arena. What the orchestrator itself reads (parts of the
answer, values that go inline or are cut into chunks) does not: it would wait there for room that the
request's own inputs may hold.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import numpy as np

from corntriton.runtime.failures import CallError, DeadlineError, ServerLostError
from corntriton.runtime.remote.loop import LoopThread, outcome
from corntriton.runtime.remote.visit import as_loss, rows
from corntriton.runtime.shm.layout import Tag
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.ref import Ref
from corntriton.runtime.tensors import Array
from corntriton.runtime.transfer.puller import Finder, Puller

T = TypeVar("T")


class Sources:
    """From where tensors are pulled, for all requests. Its coroutines are for the event loop's thread.

    Args:
        memory: This process's.
        finder: Of the servers that have them.
        on_pulled: Called with the address that a tensor has come from, and its size in bytes.
    """

    def __init__(self, memory: SharedMemory, finder: Finder, on_pulled: Callable[[str, int], None]) -> None:
        self._memory = memory
        self._finder = finder
        self._puller = Puller(memory, finder, on_pulled)
        self._on_pulled = on_pulled

    def is_foreign(self, packed: bytes) -> bool:
        """Whether the ref names memory of another server. From any thread."""
        return self._puller.is_foreign(packed)

    def local(self, packed: bytes) -> Array:
        """The tensor of a ref to memory of this one. From any thread."""
        return self._memory.read(packed)

    async def pull(self, packed: bytes, tag: Tag, deadline_ns: int) -> bytes:
        """The ref of a copy in this process's arena; see Puller.pull."""
        try:
            return await self._puller.pull(packed, tag, deadline_ns)
        except CallError as error:
            raise as_loss(error) from None

    async def read(self, packed: bytes, deadline_ns: int) -> Array:
        """A copy in ordinary memory.

        Raises:
            ServerLostError: The server that has it was lost.
            DeadlineError: It was still on its way at the deadline.
        """
        ref = Ref.unpack(packed)
        peer = await self._finder.find(ref.node)
        left_s = (deadline_ns - time.monotonic_ns()) / 1e9
        try:
            array = await asyncio.wait_for(peer.read(packed), max(0.0, left_s))
        except ServerLostError:
            self._finder.forget(peer)
            raise
        except CallError as error:
            raise as_loss(error) from None
        except asyncio.TimeoutError:
            raise DeadlineError(f"the deadline passed before {ref.nbytes} bytes had come") from None
        self._on_pulled(peer.address, ref.nbytes)
        array.flags.writeable = False  # it may have several readers
        return array


class Pulled:
    """A `Far` of refs.py. Its methods block, and are not for the event loop's thread.

    Args:
        sources: To pull from.
        loop: Theirs.
        tag: The request's.
        deadline_ns: The request's, on the monotonic clock.
    """

    def __init__(self, sources: Sources, loop: LoopThread, tag: Tag, deadline_ns: int) -> None:
        self._sources = sources
        self._loop = loop
        self._tag = tag
        self._deadline_ns = deadline_ns
        self._refs: dict[bytes, Future[bytes]] = {}
        self._arrays: dict[bytes, Future[Array]] = {}
        self._lock = threading.Lock()

    def read(self, packed: bytes) -> Array:
        """The tensor, which nobody can write to."""
        if not self._sources.is_foreign(packed):
            return self._sources.local(packed)
        if packed in self._refs:
            return self._sources.local(outcome(self._refs[packed]))
        return outcome(self._once(self._arrays, packed, self._sources.read(packed, self._deadline_ns)))

    def bring(self, refs: Sequence[Array]) -> list[Array]:
        """Refs to the same tensors, on this node."""
        coming = [[self._coming(one) for one in rows(each)] for each in refs]
        return [
            np.frombuffer(b"".join(map(_outcome, some)), np.uint8).reshape(each.shape)
            for some, each in zip(coming, refs, strict=True)
        ]

    def _coming(self, packed: bytes) -> bytes | Future[bytes]:
        if not self._sources.is_foreign(packed):
            return packed
        return self._once(self._refs, packed, self._sources.pull(packed, self._tag, self._deadline_ns))

    def _once(
        self, known: dict[bytes, Future[T]], packed: bytes, coroutine: Coroutine[Any, Any, T]
    ) -> Future[T]:
        with self._lock:
            if packed in known:
                coroutine.close()
            else:
                known[packed] = self._loop.start(coroutine)
            return known[packed]


def _outcome(coming: bytes | Future[bytes]) -> bytes:
    return coming if isinstance(coming, bytes) else outcome(coming)
