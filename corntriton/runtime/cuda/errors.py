"""What can go wrong with device memory, beside what can with host memory, and who is told.

any call ────────────> DeviceError ─────────> INTERNAL: the driver refused
DeviceMemory(...) ───> NoDeviceError ───────> INTERNAL: no such GPU, or no CUDA
DeviceMemory.read ───> UnreachableError ────> UNAVAILABLE: from here, once; see memory.py
                  └──> ProducerDiedError ───> UNAVAILABLE: its memory is gone with it
"""

from __future__ import annotations

from corntriton.runtime.shm.errors import ArenaError


class DeviceError(ArenaError):
    """The CUDA driver refused a call.

    Attributes:
        code: The CUresult.
    """

    def __init__(self, function: str, code: int, text: str) -> None:
        super().__init__(f"{function} failed with {text} ({code})")
        self.code = code


class NoDeviceError(ArenaError):
    """This process sees no such GPU."""


class UnreachableError(ArenaError):
    """This process cannot reach the memory in which the tensor lies."""


class ProducerDiedError(ArenaError):
    """The process has died whose memory the tensor lay in."""
