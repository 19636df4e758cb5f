"""Room for tensors: a size goes in, a slot with memory comes out; what nobody needs any more is given again.

A slot is given, and then either filed under a request, or lent to somebody who computes into its memory and
files it later, or forgets it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import NamedTuple, Protocol

from corntriton.runtime.shm.backing import Backing
from corntriton.runtime.shm.errors import ArenaFullError, TooLargeError
from corntriton.runtime.shm.extents import Extents
from corntriton.runtime.shm.layout import Tag
from corntriton.runtime.shm.regions import Regions
from corntriton.runtime.shm.slots import Holder, Slot, Slots

# What each allocation looks at, so that there is always more freed than filled.
_LOOKS = 8
_ALL = 1 << 62
_GRANULE_BYTES = 64 * 1024
_LEAST_GROWTH_BYTES = 1024 * 1024
_MOST_GROWTH_BYTES = 64 * 1024 * 1024
_FIRST_PAUSE_S = 0.00005
_LONGEST_PAUSE_S = 0.002


class Usage(NamedTuple):
    """How full an arena is: of the bytes that have memory behind them, how many hold tensors."""

    capacity_bytes: int
    used_bytes: int


class Memory(Protocol):
    """What slots lie in."""

    @property
    def capacity_bytes(self) -> int:
        """How much of it may be used."""

    @property
    def max_bytes(self) -> int:
        """How far it may grow."""

    def grow(self, nbytes: int) -> None:
        """Makes it larger; raises OSError."""


class Allocator:
    """The slots of one arena and the memory behind them. Any thread may use it.

    Args:
        backing: The arena's file.
        regions: Where owners are found.
        memory: Where its tensors lie.
        alignment_bytes: Every slot begins at a multiple of it.
    """

    def __init__(self, backing: Backing, regions: Regions, memory: Memory, alignment_bytes: int) -> None:
        self._backing = backing
        self._memory = memory
        self._alignment_bytes = alignment_bytes
        self._slots = Slots(backing, regions)
        self._extents = Extents()
        if memory.capacity_bytes:
            self._extents.give(0, memory.capacity_bytes)
        self._lent: dict[int, Slot] = {}  # by offset: what has been lent and not been filed yet
        self._forgotten: deque[Holder] = deque()
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage:
        """How full it is, once everything is reclaimed that can be."""
        with self._lock:
            self._reclaim(_ALL, thoroughly=True)
            capacity_bytes = self._memory.capacity_bytes
            return Usage(capacity_bytes, capacity_bytes - self._extents.free_bytes)

    @property
    def any_filed(self) -> bool:
        """Whether there are tensors of requests that still live."""
        with self._lock:
            self._reclaim(_ALL, thoroughly=True)
            return self._slots.any_filed

    @property
    def any_refusal(self) -> bool:
        """Whether a reader has said that it cannot read what lies on the arena's device."""
        return self._slots.any_refusal

    def allocate(self, nbytes: int, deadline_ns: int) -> Slot:
        """A slot with so much memory, for `file`, `lend` or `give`.

        Args:
            nbytes: May be 0.
            deadline_ns: On the monotonic clock: until then it waits for room.

        Raises:
            ArenaFullError: There is no room.
            TooLargeError: There never will be.
        """
        max_bytes = self._memory.max_bytes
        room_bytes = max(1, -(-nbytes // self._alignment_bytes)) * self._alignment_bytes
        if self._backing.abandoned:
            raise ArenaFullError(
                "its arena is closed, or belongs to the process that this one was forked from"
            )
        if room_bytes > max_bytes:
            raise TooLargeError(f"a tensor of {nbytes} bytes is larger than its arena may be, {max_bytes}")
        pause_s = _FIRST_PAUSE_S
        while True:
            with self._lock:
                slot = self._take(room_bytes)
            if slot is not None:
                return slot
            left_s = (deadline_ns - time.monotonic_ns()) / 1e9
            if left_s <= 0:
                raise ArenaFullError(f"its arena of {max_bytes} bytes has no room for {nbytes} more")
            time.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def file(self, slot: Slot, packed: bytes, tag: Tag) -> None:
        """Makes the tensor readable by this ref until the request ends."""
        with self._lock:
            self._slots.file(slot, packed, tag)

    def give(self, slot: Slot) -> None:
        """Takes back a slot that nobody has seen."""
        with self._lock:
            self._give(slot)

    def lend(self, slot: Slot, holder: Holder) -> None:
        """Leaves the slot's memory to somebody: it is not used again as long as the holder lives."""
        slot.holder = holder
        self._lent[slot.offset] = slot

    def forget(self, holder: Holder) -> None:
        """The holder has died; may be called at any point of any thread, as the garbage collector does."""
        self._forgotten.append(holder)

    def lent(self, offset: int, nbytes: int) -> Slot | None:
        """The slot that was lent, begins there, is so long and has not been filed."""
        slot = self._lent.get(offset)
        return slot if slot is not None and nbytes <= slot.room_bytes else None

    def take_lent(self, offset: int, nbytes: int) -> Slot | None:
        """The same, for `file`."""
        return self._lent.pop(offset, None) if self.lent(offset, nbytes) is not None else None

    def _take(self, room_bytes: int) -> Slot | None:
        self._reclaim(_LOOKS, thoroughly=False)
        offset = self._offset(room_bytes)
        if offset is None:
            self._reclaim(_ALL, thoroughly=True)
            offset = self._offset(room_bytes)
        if offset is None and self._grow(room_bytes):
            offset = self._offset(room_bytes)
        return None if offset is None else self._slots.take(offset, room_bytes)

    def _offset(self, room_bytes: int) -> int | None:
        return self._extents.take(room_bytes) if self._slots.any_free else None

    def _grow(self, room_bytes: int) -> bool:
        """Grows by more than is needed, so as to grow seldom; by just that where memory is scarce."""
        capacity_bytes, max_bytes = self._memory.capacity_bytes, self._memory.max_bytes
        generous_bytes = max(room_bytes, _LEAST_GROWTH_BYTES, min(capacity_bytes, _MOST_GROWTH_BYTES))
        for wanted_bytes in (generous_bytes, room_bytes):
            nbytes = min(-(-wanted_bytes // _GRANULE_BYTES) * _GRANULE_BYTES, max_bytes - capacity_bytes)
            if nbytes == 0 or not self._slots.any_free:
                return False
            with suppress(OSError):  # the directory is full, or a limit is reached
                self._memory.grow(nbytes)
                self._extents.give(capacity_bytes, nbytes)
                return True
        return False

    def _reclaim(self, n_looks: int, thoroughly: bool) -> None:
        while self._forgotten:
            dead = self._forgotten.popleft()
            slot = self._lent.get(dead.key)
            if slot is not None and slot.holder is dead:
                self._give(self._lent.pop(dead.key))
        for slot in self._slots.reclaim(n_looks, thoroughly):
            self._give(slot)

    def _give(self, slot: Slot) -> None:
        self._slots.give(slot)
        self._extents.give(slot.offset, slot.room_bytes)
