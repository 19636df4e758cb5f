"""What NVML knows of a GPU, without a context on it, and whatever CUDA_VISIBLE_DEVICES says."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple
from uuid import UUID


class Gpu(NamedTuple):
    """A GPU as NVML names it, and its memory as it is now."""

    name: str
    total_bytes: int
    free_bytes: int

    def __str__(self) -> str:
        return f"{self.name}, {self.free_bytes / 2**30:.1f} of {self.total_bytes / 2**30:.1f} GiB free"


def look_up(uuid: UUID) -> Gpu | None:
    """The GPU, or the MIG instance, with this UUID; None where NVML is not installed or does not know it."""
    try:
        import pynvml  # only with the extra `gpu`

        pynvml.nvmlInit()
    except ImportError:
        return None
    except pynvml.NVMLError:
        return None
    try:
        for prefix in ("GPU", "MIG"):
            with suppress(pynvml.NVMLError):
                handle = pynvml.nvmlDeviceGetHandleByUUID(f"{prefix}-{uuid}")
                memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
                return Gpu(str(pynvml.nvmlDeviceGetName(handle)), int(memory.total), int(memory.free))
        return None
    finally:
        pynvml.nvmlShutdown()
