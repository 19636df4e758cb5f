"""A tensor in device memory as components get it: torch.from_dlpack(tensor), or its pointer, or .numpy()."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from corntriton.runtime.cuda.dlpack import CUDA, give
from corntriton.runtime.cuda.lanes import Lanes
from corntriton.runtime.cuda.use import Use
from corntriton.runtime.tensors import Array


class DeviceTensor:
    """A view without a copy; the memory is not used again as long as it, or what was made of it, lives.

    CUDA cannot forbid to write to what was read: do not. What was made of it may be used on the stream it was
    made on (torch's current one); after it is dropped, the memory is held until that stream is through.

    For onnxruntime's IO binding:

        tensor.wait()
        binding.bind_input(name, "cuda", tensor.device.ordinal, tensor.dtype, tensor.shape, tensor.pointer)

    and keep the tensor until the run is over.

    Attributes:
        device: On which kernels may use it; where it came from another GPU, they reach over.
        pointer: Its first byte.
        shape: Of the tensor, whose elements lie one after the other.
        dtype: As numpy has it.
    """

    def __init__(
        self,
        lanes: Lanes,
        pointer: int,
        form: tuple[tuple[int, ...], np.dtype[Any]],
        use: Use,
        check: Callable[[], None],
    ) -> None:
        self.device = lanes.device
        self.pointer = pointer
        self.shape, self.dtype = form
        self._lanes = lanes
        self._use = use
        self._check = check

    def __repr__(self) -> str:
        return f"DeviceTensor({[*self.shape]}, {self.dtype}, cuda:{self.device.ordinal})"

    @property
    def nbytes(self) -> int:
        """Of all elements."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self.numpy() if dtype is None else self.numpy().astype(dtype, copy=False)

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA, self.device.ordinal

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A capsule for the stream, which waits until the memory may be touched.

        https://data-apis.org/array-api/latest/API_specification/generated/array_api.array.__dlpack__.html

        Raises:
            BufferError: A copy is wanted, or another device.
        """
        if copy or (dl_device is not None and tuple(dl_device) != self.__dlpack_device__()):
            raise BufferError(f"{self!r} is given where it lies; To fix: copy what you made of it")
        if stream == -1:
            self._use.begin_anyhow()
        else:
            self._use.begin(1 if stream is None else int(stream))
        return give(self.pointer, self.shape, self.dtype, self.__dlpack_device__(), self._use)

    def wait(self, stream: int | None = None) -> None:
        """Lets a stream wait, or the host, until the memory may be touched; for libraries without DLPack."""
        if stream is None:
            self._use.begin_anyhow()
        else:
            self._use.begin(stream)

    def numpy(self) -> Array:
        """A copy in host memory."""
        array: Array = np.empty(self.shape, self.dtype)
        self.copy_to(array)
        return array

    def copy_to(self, array: Array) -> None:
        """Copies into contiguous host memory of the same size, and waits for that.

        Raises:
            ProducerDiedError: What was copied may be wrong.
        """
        self._use.begin(self._lanes.host)
        self._lanes.down(self.pointer, array)
        self.check()

    def copy_from(self, array: Array) -> None:
        """The inverse, for memory to compute into."""
        self._use.begin(self._lanes.host)
        self._lanes.up(array, self.pointer)

    def check(self) -> None:
        """Tells whether what was made of the tensor can be relied on.

        The memory of a process that dies is the driver's to give away, whoever still reads it: so call this
        when the work is done.

        Raises:
            ProducerDiedError: The process that the memory belongs to has ended.
        """
        self._check()
