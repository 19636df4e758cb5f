"""Work on a GPU that the code under test knows nothing of: what torch is to it, by the bare driver."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from corntriton.runtime.cuda.device import Device
from corntriton.runtime.cuda.dlpack import CUDA, give
from corntriton.runtime.cuda.driver import DISABLE_TIMING, NON_BLOCKING, call

# A real GPU fills 256 MB in a tenth of a millisecond; the simulated driver takes its time for every call.
_SCRATCH_BYTES = 256 << 20
_N_FILLS = 100


class Stream:
    """A stream of a component's own."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._scratch_bytes = int(os.environ.get("SCRATCH_BYTES", _SCRATCH_BYTES))
        self._n_fills = int(os.environ.get("SCRATCH_FILLS", _N_FILLS))
        with device.current():
            self.handle = int(call("cuStreamCreate", NON_BLOCKING))
            self._scratch = int(call("cuMemAlloc", self._scratch_bytes))

    def keep_busy(self) -> None:
        """Work that takes a while; what comes after it in the stream is late."""
        with self.device.current():
            for _ in range(self._n_fills):
                call("cuMemsetD8Async", self._scratch, 0, self._scratch_bytes, self.handle)

    def fill(self, pointer: int, nbytes: int, value: int) -> None:
        with self.device.current():
            if nbytes:
                call("cuMemsetD8Async", pointer, value, nbytes, self.handle)

    def copy_out(self, pointer: int, array: np.ndarray) -> None:
        with self.device.current():
            if array.nbytes:
                call("cuMemcpyDtoHAsync", array.ctypes.data, pointer, array.nbytes, self.handle)

    def synchronize(self) -> None:
        with self.device.current():
            call("cuStreamSynchronize", self.handle)

    def close(self) -> None:
        with self.device.current():
            call("cuStreamSynchronize", self.handle)
            call("cuStreamDestroy", self.handle)
            call("cuMemFree", self._scratch)


class Outsider:
    """A tensor in memory of another library, made on a stream of its own.

    Args:
        stream: On which it is computed.
        nbytes: Of UINT8.

    Attributes:
        on_release: Called when whoever takes it next has let go of it.
    """

    def __init__(self, stream: Stream, nbytes: int) -> None:
        self.stream = stream
        self.nbytes = nbytes
        self.device = stream.device.ordinal
        self.dtype = np.dtype(np.uint8)
        self.on_release: Callable[[], Any] | None = None
        with stream.device.current():
            self.pointer = int(call("cuMemAlloc", max(1, nbytes)))

    def fill(self, value: int) -> None:
        self.stream.fill(self.pointer, self.nbytes, value)

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA, self.device

    def __dlpack__(self, *, stream: int) -> Any:
        with self.stream.device.current():
            event = int(call("cuEventCreate", DISABLE_TIMING))
            call("cuEventRecord", event, self.stream.handle)
            call("cuStreamWaitEvent", stream, event, 0)
            call("cuEventDestroy", event)
        owner = _Owner(self.on_release)
        return give(self.pointer, (self.nbytes,), self.dtype, self.__dlpack_device__(), owner)

    def close(self) -> None:
        with self.stream.device.current():
            call("cuStreamSynchronize", self.stream.handle)
            call("cuMemFree", self.pointer)


class _Owner:
    def __init__(self, on_release: Callable[[], Any] | None) -> None:
        self._on_release = on_release

    def __del__(self) -> None:
        if self._on_release is not None:
            self._on_release()
