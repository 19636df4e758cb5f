"""Where a process puts the tensors that others read: arrays go in, refs come out.

    put(array, tag)          one copy into the arena
    empty(shape, dtype)      memory of the arena to compute into ──put──> no copy

A tensor's memory is used again when its request has ended, nobody reads it, and its maker has forgotten it.
"""

from __future__ import annotations

import math
import secrets
import weakref
from typing import Any

import numpy as np

from corntriton.runtime.shm.allocator import Allocator, Usage
from corntriton.runtime.shm.backing import Backing
from corntriton.runtime.shm.elements import encoded_bytes, write_elements
from corntriton.runtime.shm.layout import Tag
from corntriton.runtime.shm.ref import ALIGNMENT_BYTES, DTYPE_NAMES, MAX_DIMS, Ref
from corntriton.runtime.shm.regions import Regions
from corntriton.runtime.shm.slots import Slot
from corntriton.runtime.shm.sweep import sweep
from corntriton.runtime.tensors import Array


class Arena:
    """The tensors of this process. Any thread may use it.

    Args:
        backing: Its file.
        regions: Where owners are found.
    """

    def __init__(self, backing: Backing, regions: Regions) -> None:
        self._backing = backing
        self._directory, self._node = regions.directory, regions.node
        self._allocator = Allocator(backing, regions, backing, ALIGNMENT_BYTES)
        self._base_address = np.frombuffer(backing.data, np.uint8, 1).__array_interface__["data"][0]

    @property
    def usage(self) -> Usage:
        """How full it is, once everything is reclaimed that can be."""
        return self._allocator.usage

    @property
    def place(self) -> tuple[int, int]:
        """Where its memory begins in this process, and how many bytes have memory behind them now."""
        return self._base_address, self._backing.capacity_bytes

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
        slot = self._allocator.allocate(math.prod(shape) * dtype.itemsize, deadline_ns)
        array: Array = np.ndarray(shape, dtype, buffer=self._backing.data, offset=slot.offset)
        self._allocator.lend(slot, weakref.KeyedRef(array, self._allocator.forget, slot.offset))
        return array

    def gave(self, array: Array) -> bool:
        """Whether it is memory that `empty` gave and `put` has not seen, from its beginning."""
        return self._is_plain(array) and self._allocator.lent(self._offset(array), array.nbytes) is not None

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
        return self._file(slot, nbytes, DTYPE_NAMES[array.dtype], array.shape, tag)

    def put_bytes(self, memory: Array, dtype: str, shape: tuple[int, ...], tag: Tag) -> bytes:
        """The ref of a tensor whose bytes somebody has written to memory that `empty` gave.

        Args:
            memory: All that the tensor consists of, of BYTES as elements.py lays it out; not to be written to
                any more.
            dtype: A name of the inference protocol.
            shape: Of the tensor.
            tag: See put.
        """
        slot = self._slot_of(memory)
        if slot is None:
            raise ValueError("this is not memory of this arena, or has been put before")
        return self._file(slot, memory.nbytes, dtype, shape, tag)

    def close(self) -> None:
        """Leaves: the file goes now, or with the last request that it holds tensors of."""
        if not self._allocator.any_filed:
            self._backing.unlink()
        self._backing.abandon()
        sweep(self._directory)

    def _file(self, slot: Slot, nbytes: int, dtype: str, shape: tuple[int, ...], tag: Tag) -> bytes:
        place = (slot.index, slot.generation, slot.offset, nbytes)
        nonce = secrets.randbits(64), secrets.randbits(64)
        packed = Ref(self._backing.arena, *place, nonce, dtype, shape, self._node).pack()
        self._allocator.file(slot, packed, tag)
        return packed

    def _slot_of(self, array: Array) -> Slot | None:
        """Takes the slot whose memory, from its beginning, this array is; None if `empty` did not give it."""
        if not self._is_plain(array):
            return None
        return self._allocator.take_lent(self._offset(array), array.nbytes)

    def _is_plain(self, array: Array) -> bool:
        return array.flags.c_contiguous and array.dtype != object

    def _offset(self, array: Array) -> int:
        offset: int = array.__array_interface__["data"][0] - self._base_address
        return offset

    def _filled(self, array: Array, nbytes: int, deadline_ns: int) -> Slot:
        """A new slot with the array's content."""
        slot = self._allocator.allocate(nbytes, deadline_ns)
        data = self._backing.data
        try:
            if array.dtype == object:
                write_elements(array, data[slot.offset : slot.offset + nbytes])
            else:
                np.copyto(np.ndarray(array.shape, array.dtype, buffer=data, offset=slot.offset), array)
        except BaseException:
            self._allocator.give(slot)
            raise
        return slot
