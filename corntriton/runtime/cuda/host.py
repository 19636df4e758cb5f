"""What DeviceMemory is on a GPU, where there is none: the same tensors and refs, in host memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from corntriton.runtime.cuda.dlpack import CPU, give
from corntriton.runtime.shm.layout import Tag
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.tensors import Array


class HostTensor:
    """What components get in place of a DeviceTensor: torch.from_dlpack(tensor), or .numpy(); see there.

    What was read lies in memory that nobody can write to: who tries is ended by the kernel.

    Attributes:
        pointer: Its first byte.
        shape: Of the tensor, whose elements lie one after the other.
        dtype: As numpy has it.
        nbytes: Of all elements.
    """

    def __init__(self, array: Array) -> None:
        self._array = array if array.flags.c_contiguous else np.ascontiguousarray(array)
        self.pointer: int = self._array.__array_interface__["data"][0]
        self.shape, self.dtype, self.nbytes = array.shape, array.dtype, array.nbytes

    def __repr__(self) -> str:
        return f"HostTensor({[*self.shape]}, {self.dtype})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        array = self._array if dtype is None else self._array.astype(dtype, copy=False)
        return array.copy() if copy else array

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU, 0

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A capsule. numpy gives none of memory that cannot be written to."""
        if copy or (dl_device is not None and tuple(dl_device) != self.__dlpack_device__()):
            raise BufferError(f"{self!r} is given where it lies; To fix: copy what you made of it")
        return give(self.pointer, self.shape, self.dtype, self.__dlpack_device__(), self._array)

    def wait(self, stream: int | None = None) -> None:
        """Returns: it may be touched."""

    def numpy(self) -> Array:
        """A copy, as on a GPU."""
        return self._array.copy()

    def copy_to(self, array: Array) -> None:
        """Copies into memory of the same size."""
        np.copyto(array, self._array)

    def copy_from(self, array: Array) -> None:
        """The inverse, for memory to compute into."""
        np.copyto(self._array, array)

    def check(self) -> None:
        """Returns: what was read stays as it is."""


class HostMemory:
    """A process's shared memory as if it were a device's. Any thread may use it.

    Args:
        shared: Of this process.
    """

    def __init__(self, shared: SharedMemory) -> None:
        self._shared = shared

    def empty(self, shape: tuple[int, ...], dtype: Any, deadline_ns: int = 0) -> HostTensor:
        """Memory to compute into; see Arena.empty."""
        return HostTensor(self._shared.arena.empty(shape, dtype, deadline_ns))

    def place(self, array: Array, deadline_ns: int = 0) -> HostTensor:
        """The array as it is, of which nobody makes a copy."""
        return HostTensor(array)

    def put(self, tensor: Any, tag: Tag, deadline_ns: int = 0) -> bytes:
        """The ref of a tensor with this content; see Arena.put."""
        return self._shared.put(np.asarray(tensor), tag, deadline_ns)

    def stage(self, tensor: Any, tag: Tag, deadline_ns: int = 0) -> bytes:
        """The same."""
        return self.put(tensor, tag, deadline_ns)

    def read(self, packed: bytes, tag: Tag | None = None, deadline_ns: int = 0) -> HostTensor:
        """The tensor that a ref names; see Reader.read."""
        return HostTensor(self._shared.read(packed, tag))

    def close(self) -> None:
        """Leaves the shared memory to whoever made it."""
