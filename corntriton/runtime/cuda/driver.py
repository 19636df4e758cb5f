"""The CUDA driver: a function's name and arguments go in, its result comes out, or its error as an exception.

https://docs.nvidia.com/cuda/cuda-driver-api/, through https://nvidia.github.io/cuda-python/cuda-bindings/.
Handles and pointers are plain integers here: the bindings take them, and nothing frees them by accident.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

from corntriton.runtime.cuda.errors import DeviceError, NoDeviceError

HANDLE_BYTES = 64  # CU_IPC_HANDLE_SIZE
OUT_OF_MEMORY = 2
LEGACY_STREAM = 1

# Flags of the functions that take some.
NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: the default stream is not waited for, nor does it wait
DISABLE_TIMING = 2  # CU_EVENT_DISABLE_TIMING
INTERPROCESS = 4  # CU_EVENT_INTERPROCESS
LAZY_PEER_ACCESS = 1  # CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS

_NOT_READY = 600


def call(function: str, *arguments: Any) -> Any:
    """What the function gives: nothing, one value or a tuple of them.

    Raises:
        DeviceError: It failed.
        NoDeviceError: There is no CUDA here.
    """
    code, *values = getattr(_driver(), function)(*arguments)
    if code != 0:
        raise DeviceError(function, int(code), _text(code))
    return values[0] if len(values) == 1 else tuple(values)


def is_done(event: int) -> bool:
    """Whether the work has completed that was before the event in its stream."""
    code = int(_driver().cuEventQuery(event)[0])
    if code not in (0, _NOT_READY):
        raise DeviceError("cuEventQuery", code, _text(code))
    return code == 0


def handle_bytes(handle: Any) -> bytes:
    """What to send of an IPC handle."""
    return ctypes.string_at(handle.getPtr(), HANDLE_BYTES)


def handle_of(kind: str, content: bytes) -> Any:
    """The inverse; kind is CUipcMemHandle or CUipcEventHandle."""
    handle = getattr(_driver(), kind)()
    ctypes.memmove(handle.getPtr(), content, HANDLE_BYTES)
    return handle


@lru_cache(maxsize=1)
def _driver() -> Any:
    try:
        from cuda.bindings import driver  # only with the extra `gpu`
    except ImportError as error:
        raise NoDeviceError(f"there is no CUDA: {error}; To fix: pip install 'corntriton[gpu]'") from None
    try:
        code = driver.cuInit(0)[0]
    except RuntimeError as error:  # no libcuda.so.1
        raise NoDeviceError(f"there is no CUDA: {error}") from None
    if code != 0:
        raise NoDeviceError(f"there is no CUDA: cuInit failed with {code}")
    return driver


def _text(code: Any) -> str:
    return str(getattr(code, "name", code))
