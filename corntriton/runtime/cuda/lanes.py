"""The streams of one DeviceMemory: copies between device and host go in, and return when they are done.

None of them waits for the default stream, on which most components compute, nor lets it wait.
"""

from __future__ import annotations

from contextlib import suppress

from corntriton.runtime.cuda.completions import Completions
from corntriton.runtime.cuda.device import Device
from corntriton.runtime.cuda.driver import NON_BLOCKING, call
from corntriton.runtime.cuda.errors import DeviceError
from corntriton.runtime.tensors import Array


class Lanes:
    """What the tensors of a DeviceMemory share.

    Attributes:
        device: Where they lie, or from where they are read.
        puts: The stream of copies within devices, which nobody waits for on the host.
        host: The stream of copies from and to the host, which somebody always waits for.
        completions: Knows when streams are through.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        with device.current():
            self.puts = int(call("cuStreamCreate", NON_BLOCKING))
            self.host = int(call("cuStreamCreate", NON_BLOCKING))
        self.completions = Completions(device)

    def down(self, pointer: int, array: Array) -> None:
        """Copies device memory into a contiguous array, on the stream `host`."""
        if array.nbytes:
            with self.device.current():
                call("cuMemcpyDtoHAsync", array.ctypes.data, pointer, array.nbytes, self.host)
                call("cuStreamSynchronize", self.host)

    def up(self, array: Array, pointer: int) -> None:
        """Copies a contiguous array into device memory, on the stream `host`."""
        if array.nbytes:
            with self.device.current():
                call("cuMemcpyHtoDAsync", pointer, array.ctypes.data, array.nbytes, self.host)
                call("cuStreamSynchronize", self.host)

    def across(self, source: int, pointer: int, nbytes: int) -> None:
        """Begins to copy device memory, on the stream `puts`."""
        if nbytes:
            with self.device.current():
                call("cuMemcpyDtoDAsync", pointer, source, nbytes, self.puts)

    def close(self) -> None:
        """Returns when all is done that was begun. The streams stay: views that are still held name them."""
        self.completions.close()
        with suppress(DeviceError), self.device.current():
            for stream in (self.puts, self.host):
                call("cuStreamSynchronize", stream)
