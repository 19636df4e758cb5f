"""All of device memory that a process needs on one GPU, put together.

A component's process makes one for its device beside its SharedMemory. An output `X__ref` is asked for where
a host reads it, `X__dref` where a GPU does; what stands in either, and in an input `X__ref`, may be a ref to
the host or to a device: `read` takes both.

    memory = DeviceMemory("cuda:0", shared, max_bytes)
    view = memory.read(packed)                         a DeviceTensor; an array for BYTES
    out = memory.empty((1500, 512), "float32")         if the component asks for its output's memory
    packed = memory.put(out, tag, deadline_ns)         for X__dref
    packed = memory.stage(out, tag, deadline_ns)       for X__ref

`put` falls back to `stage` where others cannot read: the driver refuses to share (as in some sandboxes), or a
reader has found that it cannot reach the device. That reader's call fails with UnreachableError, once; the
producer learns of it from the arena's file, and what it puts from then on lies on the host.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corntriton.runtime.cuda.arena import DeviceArena
from corntriton.runtime.cuda.block import GRANULE_BYTES
from corntriton.runtime.cuda.device import Device
from corntriton.runtime.cuda.dlpack import Taken
from corntriton.runtime.cuda.driver import call
from corntriton.runtime.cuda.lanes import Lanes
from corntriton.runtime.cuda.nvml import look_up
from corntriton.runtime.cuda.reader import DeviceReader
from corntriton.runtime.cuda.source import source_of
from corntriton.runtime.cuda.tensor import DeviceTensor
from corntriton.runtime.shm.allocator import Usage
from corntriton.runtime.shm.immediate import is_immediate
from corntriton.runtime.shm.layout import Tag
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.ref import HOST, Ref
from corntriton.runtime.tensors import Array

N_SLOTS = 512
_MOST_BYTES = 1 << 30
_PART_OF_FREE = 16


class DeviceMemory:
    """A process's own memory on a GPU, and its view of the others'. Any thread may use it.

    Attributes:
        device: The GPU.
    """

    def __init__(
        self, device: str, shared: SharedMemory, max_bytes: int | None = None, n_slots: int = N_SLOTS
    ) -> None:
        """Takes the memory.

        Args:
            device: `cuda` or `cuda:N`, as torch names it in this process.
            shared: Of this process; what cannot be read on a device goes there.
            max_bytes: Of its tensors; if not given, a part of what is free.
            n_slots: Tensors at once.

        Raises:
            NoDeviceError: There is no such device.
            ArenaFullError: It has not so much memory.
            DeviceError: The driver refused.
        """
        self.device = Device.named(device)
        self._shared = shared
        self._lanes = Lanes(self.device)
        try:
            size = max_bytes or _default_bytes(self.device)
            self._arena = DeviceArena(self._lanes, shared.regions, size, n_slots)
        except BaseException:
            self._lanes.close()
            raise
        self._reader = DeviceReader(self._lanes, shared.regions)

    @property
    def shares(self) -> bool:
        """Whether `put` gives refs to the device: the driver lets others read it, and all of them could."""
        return self._arena.shared

    @property
    def usage(self) -> Usage:
        """How full it is, once everything is reclaimed that can be."""
        return self._arena.usage

    def empty(self, shape: tuple[int, ...], dtype: Any, deadline_ns: int = 0) -> DeviceTensor:
        """Memory to compute into; `put` gives a ref of it, or of its front, without a copy.

        Args:
            shape: Of the tensor.
            dtype: What numpy takes; not object.
            deadline_ns: On the monotonic clock: until then it waits for room.

        Raises:
            ArenaFullError: There is no room.
            TooLargeError: There never will be.
            TypeError: Refs have no such dtype.
        """
        return self._arena.empty(shape, dtype, deadline_ns)

    def put(self, tensor: Any, tag: Tag, deadline_ns: int = 0) -> bytes:
        """The ref of a tensor with this content: on the device if others can read it there, else on the host.

        Does not wait for the work that makes the content, where that is a GPU's.

        Args:
            tensor: With `__dlpack__`, as torch's on this device are when this thread's current stream is the
                one they are made on; or an array, of bytes objects for BYTES, which stays on the host. If it
                is memory that `empty` gave, do not write to it again.
            tag: The request that the tensor belongs to, as `verify` or the request's owner gave it.
            deadline_ns: On the monotonic clock: until then it waits for room.

        Raises:
            ArenaFullError: There is no room.
            TooLargeError: There never will be.
            TypeError: Refs have no such dtype or so many dimensions, or it lies on another GPU.
            DeviceError: The driver refused.
        """
        if not self.shares:
            return self.stage(tensor, tag, deadline_ns)
        source = source_of(tensor, self.device, self._lanes.puts)
        if source.dtype == object:
            return self._shared.put(np.asarray(tensor), tag, deadline_ns)
        return self._arena.put(source, tag, deadline_ns)

    def stage(self, tensor: Any, tag: Tag, deadline_ns: int = 0) -> bytes:
        """The same on the host, for readers without this device."""
        source = source_of(tensor, self.device, self._lanes.host)
        if not isinstance(source, Taken):
            return self._shared.put(source, tag, deadline_ns)
        try:
            array = self._shared.arena.empty(source.shape, source.dtype, deadline_ns)
            self._lanes.down(source.pointer, array)
        finally:
            source.release()
        return self._shared.arena.put(array, tag, deadline_ns)

    def read(self, packed: bytes, tag: Tag | None = None, deadline_ns: int = 0) -> DeviceTensor | Array:
        """The tensor that a ref names, for this device; what lies on the host is copied there, but BYTES.

        Args:
            packed: The ref, from wherever it came.
            tag: The live request that it has to belong to; any that lives, if None.
            deadline_ns: On the monotonic clock: until then it waits for room for what is copied.

        Raises:
            InvalidRefError: These are not the bytes of a ref that an arena has given out, or the tensor
                belongs to another request, or to one that has ended.
            UnreachableError: This process cannot read what lies on that device.
            ProducerDiedError: The memory is gone with its process.
            ArenaFullError: There is no room, or the arena has as many readers as it can have.
            TooLargeError: A tensor of the host is larger than this device's arena.
        """
        if not is_immediate(packed):
            ref = Ref.unpack(packed)
            if ref.device != HOST:
                return self._reader.read(ref, packed, tag)
        array = self._shared.read(packed, tag)
        return array if array.dtype == object else self.place(array, deadline_ns)

    def place(self, array: Array, deadline_ns: int = 0) -> DeviceTensor:
        """A copy of an array on the device.

        Args:
            array: Not of BYTES.
            deadline_ns: On the monotonic clock: until then it waits for room.

        Raises:
            ArenaFullError: There is no room.
            TooLargeError: There never will be.
            DeviceError: The driver refused.
        """
        tensor = self.empty(array.shape, array.dtype, deadline_ns)
        tensor.copy_from(np.ascontiguousarray(array))
        return tensor

    def close(self) -> None:
        """Leaves, when all is done that was begun; the file goes now, or with the last request it serves."""
        self._lanes.close()
        self._arena.close()


def _default_bytes(device: Device) -> int:
    gpu = look_up(device.uuid)
    if gpu is None:
        with device.current():
            free_bytes = int(call("cuMemGetInfo")[0])
    else:
        free_bytes = gpu.free_bytes
    return max(GRANULE_BYTES, min(_MOST_BYTES, free_bytes // _PART_OF_FREE))
