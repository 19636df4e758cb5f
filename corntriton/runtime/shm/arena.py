"""Where a process puts the tensors that others read: arrays go in, refs come out.

    put(array, tag)          one copy into the arena
    empty(shape, dtype)      memory of the arena to compute into ──put──> no copy

A tensor's memory is used again when its request has ended, nobody reads it, and its maker has forgotten it.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from corntriton.runtime.shm.backing import Backing
from corntriton.runtime.shm.elements import encoded_bytes, write_elements
from corntriton.runtime.shm.errors import ArenaFullError, TooLargeError
from corntriton.runtime.shm.extents import Extents
from corntriton.runtime.shm.layout import Tag
from corntriton.runtime.shm.ref import ALIGNMENT_BYTES, DTYPE_NAMES, MAX_DIMS, Ref
from corntriton.runtime.shm.regions import Regions
from corntriton.runtime.shm.slots import Slot, Slots
from corntriton.runtime.shm.sweep import sweep
from corntriton.runtime.tensors import Array

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


class Arena:
    """The tensors of this process. Any thread may use it.

    Args:
        backing: Its file.
        regions: Where owners are found.
    """

    def __init__(self, backing: Backing, regions: Regions) -> None:
        self._backing = backing
        self._regions = regions
        self._slots = Slots(backing, regions)
        self._extents = Extents()
        self._base_address = np.frombuffer(backing.data, np.uint8, 1).__array_interface__["data"][0]
        self._made: dict[int, Slot] = {}  # by offset: memory that `empty` gave and `put` has not seen yet
        self._forgotten: deque[weakref.KeyedRef[int, Array]] = deque()
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage:
        """How full it is, once everything is reclaimed that can be."""
        with self._lock:
            self._reclaim(_ALL, thoroughly=True)
            capacity_bytes = self._backing.capacity_bytes
            return Usage(capacity_bytes, capacity_bytes - self._extents.free_bytes)

    def empty(self, shape: tuple[int, ...], dtype: Any, deadline_ns: int = 0) -> Array:
        """Memory to compute into; `put` gives a ref of it, or of its front, without a copy.

        Args:
            shape: Of the array.
            dtype: What numpy takes; not object.
            deadline_ns: On the monotonic clock: until then it waits for room.

        Raises:
            ArenaFullError: There is no room.
            TooLargeError: There never will be.
            TypeError: Refs have no such dtype.
        """
        dtype = np.dtype(dtype)
        if dtype.hasobject or dtype not in DTYPE_NAMES:
            raise TypeError(f"there is no memory of dtype {dtype} to ask for")
        slot = self._allocate(math.prod(shape) * dtype.itemsize, deadline_ns)
        array: Array = np.ndarray(shape, dtype, buffer=self._backing.data, offset=slot.offset)
        slot.array = weakref.KeyedRef(array, self._forgotten.append, slot.offset)
        self._made[slot.offset] = slot
        return array

    def put(self, array: Array, tag: Tag, deadline_ns: int = 0) -> bytes:
        """The ref of a tensor with the array's content.

        Args:
            array: Of bytes objects for BYTES. If it is memory that `empty` gave, do not write to it again.
            tag: The request that the tensor belongs to, as `verify` or the request's owner gave it.
            deadline_ns: On the monotonic clock: until then it waits for room.

        Raises:
            ArenaFullError: There is no room.
            TooLargeError: There never will be.
            TypeError: Refs have no such dtype or so many dimensions.
        """
        if array.dtype not in DTYPE_NAMES or array.ndim > MAX_DIMS:
            raise TypeError(f"refs have no {array.ndim} dimensions of dtype {array.dtype}")
        nbytes = encoded_bytes(array) if array.dtype == object else array.nbytes
        slot = self._slot_of(array) or self._filled(array, nbytes, deadline_ns)
        dtype, nonce = DTYPE_NAMES[array.dtype], (secrets.randbits(64), secrets.randbits(64))
        place = (slot.index, slot.generation, slot.offset, nbytes)
        packed = Ref(self._backing.arena, *place, nonce, dtype, array.shape).pack()
        with self._lock:
            self._slots.file(slot, packed, tag)
        return packed

    def close(self) -> None:
        """Leaves: the file goes now, or with the last request that it holds tensors of."""
        with self._lock:
            self._reclaim(_ALL, thoroughly=True)
            if not self._slots.any_filed:
                self._backing.unlink()
            self._backing.abandon()
        sweep(self._regions.directory)

    def _slot_of(self, array: Array) -> Slot | None:
        """The slot whose memory, from its beginning, this array is; None if `empty` did not give it."""
        if not self._made or not array.flags.c_contiguous:
            return None
        offset = array.__array_interface__["data"][0] - self._base_address
        slot = self._made.get(offset)
        if slot is None or array.nbytes > slot.room_bytes or array.dtype == object:
            return None
        return self._made.pop(offset, None)

    def _filled(self, array: Array, nbytes: int, deadline_ns: int) -> Slot:
        """A new slot with the array's content."""
        slot = self._allocate(nbytes, deadline_ns)
        data = self._backing.data
        try:
            if array.dtype == object:
                write_elements(array, data[slot.offset : slot.offset + nbytes])
            else:
                np.copyto(np.ndarray(array.shape, array.dtype, buffer=data, offset=slot.offset), array)
        except BaseException:
            with self._lock:
                self._give(slot)
            raise
        return slot

    def _allocate(self, nbytes: int, deadline_ns: int) -> Slot:
        max_bytes = self._backing.layout.max_bytes
        room_bytes = max(1, -(-nbytes // ALIGNMENT_BYTES)) * ALIGNMENT_BYTES
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
        capacity_bytes, max_bytes = self._backing.capacity_bytes, self._backing.layout.max_bytes
        generous_bytes = max(room_bytes, _LEAST_GROWTH_BYTES, min(capacity_bytes, _MOST_GROWTH_BYTES))
        for wanted_bytes in (generous_bytes, room_bytes):
            nbytes = min(-(-wanted_bytes // _GRANULE_BYTES) * _GRANULE_BYTES, max_bytes - capacity_bytes)
            if nbytes == 0 or not self._slots.any_free:
                return False
            with suppress(OSError):  # the directory is full, or a limit is reached
                self._backing.grow(nbytes)
                self._extents.give(capacity_bytes, nbytes)
                return True
        return False

    def _reclaim(self, n_looks: int, thoroughly: bool) -> None:
        while self._forgotten:
            dead = self._forgotten.popleft()
            slot = self._made.get(dead.key)
            if slot is not None and slot.array is dead:
                self._give(self._made.pop(dead.key))
        for slot in self._slots.reclaim(n_looks, thoroughly):
            self._give(slot)

    def _give(self, slot: Slot) -> None:
        self._slots.give(slot)
        self._extents.give(slot.offset, slot.room_bytes)
