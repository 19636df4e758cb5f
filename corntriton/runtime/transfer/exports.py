"""Tensors that other servers read from this one's memory by themselves: a ref goes in, its place comes out.

From then on nothing else is put into its memory, until the reader says that it has it, or its time is up.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from corntriton.runtime.shm.mapping import map_file
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.ref import Ref
from corntriton.runtime.shm.region import Region
from corntriton.runtime.tensors import Array
from corntriton.runtime.transfer.nixl import Agent, address_of

# The longest that a claim lasts; its reader's clock starts before ours.
CLAIM_S = 300.0
TRIAL_BYTES = 64
# While somebody reads; over TCP nothing goes on between two looks but what the sockets hold.
_PAUSE_S = 0.001
# While nobody does: connections are made and ended, and what is over for one side may not be for the other.
_IDLE_PAUSE_S = 0.02


class Exports:
    """This process's, for tensors of all arenas of this node. For one event loop.

    Args:
        agent: Registers them.
        memory: This process's.
    """

    def __init__(self, agent: Agent, memory: SharedMemory) -> None:
        self._agent = agent
        self._memory = memory
        self._exported: dict[Region, _Exported] = {}
        self._claims: dict[bytes, tuple[Array, float]] = {}
        self._opened = asyncio.Event()
        self._trial = np.zeros(TRIAL_BYTES, np.uint8)
        agent.register(address_of(self._trial), TRIAL_BYTES)

    async def serve(self) -> None:
        """Has reads go on, until it is cancelled."""
        while True:
            self._look()
            await self._sleep()

    def trial(self, known: object, time_s: float) -> Mapping[str, Any]:
        """Something to try with; see open."""
        return self._place(self._trial, address_of(self._trial), known, time_s)

    def open(self, packed: bytes, known: object, time_s: float) -> Mapping[str, Any]:
        """The place of a tensor, and what to tell when it has been read.

        Args:
            packed: Its ref.
            known: The version of this agent's metadata that the reader has.
            time_s: How long it may read.

        Raises:
            InvalidRefError: See Reader.read_bytes.
            ArenaFullError: See Reader.read_bytes.
            NixlError: Its memory cannot be registered.
        """
        whole = self._memory.reader.read_bytes(packed)
        ref = Ref.unpack(packed)
        region = self._memory.regions.find(ref.arena)
        assert region is not None  # read_bytes has found it
        self._forget_unlinked()
        if region not in self._exported:
            self._exported[region] = _Exported(region, self._agent)
        address = self._exported[region].address(ref.offset, ref.nbytes)
        return self._place(whole, address, known, time_s)

    def close(self, notice: str) -> None:
        """A reader does not read any more, or never did."""
        self._claims.pop(notice.encode(), None)

    async def _sleep(self) -> None:
        if self._claims:
            await asyncio.sleep(_PAUSE_S)
            return
        self._opened.clear()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._opened.wait(), _IDLE_PAUSE_S)

    def _look(self) -> None:
        """Gives up what has been read, or should have been."""
        for notice in self._agent.notices():
            self._claims.pop(notice, None)
        now_s = time.monotonic()
        for notice, (_, until_s) in [*self._claims.items()]:
            if until_s <= now_s:
                del self._claims[notice]

    def _place(self, memory: Array, address: int, known: object, time_s: float) -> dict[str, Any]:
        notice = secrets.token_hex(16)
        self._claims[notice.encode()] = memory, time.monotonic() + min(time_s, CLAIM_S)
        self._opened.set()
        agent = self._agent
        place = {"agent": agent.name, "version": agent.version, "address": address, "notice": notice}
        if known != agent.version:
            place["metadata"] = base64.b64encode(agent.metadata).decode()
        return place

    def _forget_unlinked(self) -> None:
        for region, exported in [*self._exported.items()]:
            if region.file.closed or region.file.unlinked:
                exported.close()
                del self._exported[region]


class _Exported:
    """An arena that is registered, as far as it reaches now."""

    def __init__(self, region: Region, agent: Agent) -> None:
        self._region = region
        self._agent = agent
        layout = region.layout
        # Network cards register only what may be written to as well; nothing here does.
        self._data = memoryview(map_file(region.file, layout.data_byte, layout.max_bytes, writable=True))
        self._base = address_of(self._data)
        self._registered: list[Any] = []
        self._registered_bytes = 0

    def address(self, offset: int, nbytes: int) -> int:
        """Of a tensor; where the arena has grown, all of it is registered anew, beside what was before."""
        if offset + nbytes > self._registered_bytes:
            capacity_bytes = self._region.capacity_bytes
            self._registered.append(self._agent.register(self._base, capacity_bytes))
            self._registered_bytes = capacity_bytes
        return self._base + offset

    def close(self) -> None:
        """Nobody can read it any more."""
        for registered in self._registered:
            self._agent.forget(registered)
