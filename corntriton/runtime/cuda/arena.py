"""Where a process puts the tensors on its GPU that others read: the arena of shm/arena.py, in device memory.

put(tensor, tag)         one copy within the device, which nobody waits for
empty(shape, dtype)      memory of the arena to compute into ──put──> no copy
"""

from __future__ import annotations

import math
import secrets
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from corntriton.runtime.cuda.block import Block
from corntriton.runtime.cuda.dlpack import Taken
from corntriton.runtime.cuda.driver import call
from corntriton.runtime.cuda.errors import DeviceError
from corntriton.runtime.cuda.lanes import Lanes
from corntriton.runtime.cuda.record import Record, record_bytes
from corntriton.runtime.cuda.tensor import DeviceTensor
from corntriton.runtime.cuda.use import Use
from corntriton.runtime.shm.allocator import Allocator, Usage
from corntriton.runtime.shm.backing import Backing
from corntriton.runtime.shm.errors import ArenaFullError
from corntriton.runtime.shm.layout import Layout, Tag
from corntriton.runtime.shm.ref import DTYPE_NAMES, Ref
from corntriton.runtime.shm.regions import Regions
from corntriton.runtime.shm.slots import Slot
from corntriton.runtime.tensors import Array

# What cuMemAlloc's memory is aligned to at least, and what wide loads want.
_ALIGNMENT_BYTES = 256


class DeviceArena:
    """The tensors of this process on one GPU. Any thread may use it.

    Args:
        lanes: Of the GPU.
        regions: Where owners are found, and the arena's file is made.
        max_bytes: Taken at once.
        n_slots: Tensors at once.
    """

    def __init__(self, lanes: Lanes, regions: Regions, max_bytes: int, n_slots: int) -> None:
        self._lanes = lanes
        self._node = regions.node
        self._backing = Backing(Layout(n_slots, 0, record_bytes(n_slots)), regions.directory)
        try:
            self._backing.grow(self._backing.max_bytes)
            record = Record(self._backing.data, self._backing.arena)
            self._block = Block(lanes.device, max_bytes, self._backing.arena, record)
        except BaseException as error:
            self._backing.unlink()
            self._backing.abandon()
            if isinstance(error, OSError):
                raise ArenaFullError(f"no memory for an arena's file: {error.strerror}") from None
            raise
        self._allocator = Allocator(self._backing, regions, self._block, _ALIGNMENT_BYTES)

    @property
    def shared(self) -> bool:
        """Whether the driver lets others read it, and none of them has said that it cannot."""
        return self._block.shared and not self._allocator.any_refusal

    @property
    def usage(self) -> Usage:
        """How full it is, once everything is reclaimed that can be."""
        return self._allocator.usage

    def empty(self, shape: tuple[int, ...], dtype: Any, deadline_ns: int = 0) -> DeviceTensor:
        """Memory to compute into; see Arena.empty."""
        dtype = np.dtype(dtype)
        if dtype.hasobject or dtype not in DTYPE_NAMES:
            raise TypeError(f"there is no memory of dtype {dtype} to ask for")
        slot = self._allocator.allocate(math.prod(shape) * dtype.itemsize, deadline_ns)
        loan = _Loan(self._allocator, slot.offset)
        self._allocator.lend(slot, loan)
        use = Use(self._lanes.device, None, written=True, end=loan.end, completions=self._lanes.completions)
        return DeviceTensor(self._lanes, self._block.pointer + slot.offset, (shape, dtype), use, _always)

    def put(self, source: Taken | Array, tag: Tag, deadline_ns: int = 0) -> bytes:
        """The ref of a tensor with the source's content.

        Args:
            source: Contiguous; memory on the device is released when it has been copied.
            tag: See Arena.put.
            deadline_ns: On the monotonic clock: until then it waits for room.

        Raises:
            ArenaFullError: There is no room.
            TooLargeError: There never will be.
        """
        slot = self._placed(source, deadline_ns)
        assert source.dtype is not None  # by source_of
        nonce = secrets.randbits(64), secrets.randbits(64)
        place = (slot.index, slot.generation, slot.offset, source.nbytes)
        form = (DTYPE_NAMES[source.dtype], source.shape)
        ref = Ref(self._backing.arena, *place, nonce, *form, self._node, self._lanes.device.number)
        packed = ref.pack()
        self._allocator.file(slot, packed, tag)
        return packed

    def close(self) -> None:
        """Leaves; the memory is freed now if nobody needs it, or with the process."""
        if not self._allocator.any_filed:
            self._backing.unlink()
        if not self._allocator.usage.used_bytes:
            with suppress(DeviceError):
                self._block.close()
        self._backing.abandon()

    def _placed(self, source: Taken | Array, deadline_ns: int) -> Slot:
        """A slot with the source's content, and its event."""
        if not isinstance(source, Taken):
            return self._filled(source, deadline_ns)
        slot = self._allocator.take_lent(source.pointer - self._block.pointer, source.nbytes)
        if slot is None:
            return self._copied(source, deadline_ns)
        source.release()
        self._record(slot, self._lanes.puts)
        return slot

    def _filled(self, source: Array, deadline_ns: int) -> Slot:
        slot = self._allocator.allocate(source.nbytes, deadline_ns)
        try:
            self._lanes.up(source, self._block.pointer + slot.offset)
            self._record(slot, self._lanes.host)
        except BaseException:
            self._allocator.give(slot)
            raise
        return slot

    def _copied(self, source: Taken, deadline_ns: int) -> Slot:
        """Holds the source until it has been copied, and the slot, should its request end before."""
        loan = _Loan(self._allocator)
        try:
            slot = self._allocator.allocate(source.nbytes, deadline_ns)
            loan.key, slot.holder = slot.offset, loan
            try:
                self._lanes.across(source.pointer, self._block.pointer + slot.offset, source.nbytes)
                self._record(slot, self._lanes.puts)
            except BaseException:
                self._allocator.give(slot)
                raise
        finally:
            self._lanes.completions.after([self._lanes.puts], partial(_release, source, loan))
        return slot

    def _record(self, slot: Slot, stream: int) -> None:
        """Lets the slot's event stand for all that the stream has been told until now."""
        event = self._block.event(slot.index)
        with self._lanes.device.current():
            call("cuEventRecord", event, stream)


class _Loan:
    """Memory that somebody writes to, until no stream does any more; see slots.py, Holder.

    Attributes:
        key: Its offset; -1 before there is any.
    """

    def __init__(self, allocator: Allocator, key: int = -1) -> None:
        self.key = key
        self._allocator = allocator
        self._ended = False

    def __call__(self) -> object | None:
        return None if self._ended else self

    def end(self) -> None:
        """May be called at any point of any thread."""
        self._ended = True
        self._allocator.forget(self)


def _release(source: Taken, loan: _Loan) -> None:
    source.release()
    loan.end()


def _always() -> None:
    """The check of memory of this process."""
