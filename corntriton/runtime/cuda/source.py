"""What components give as outputs: anything with memory goes in, that memory comes out."""

from __future__ import annotations

from typing import Any

import numpy as np

from corntriton.runtime.cuda.device import Device
from corntriton.runtime.cuda.dlpack import CUDA, Taken, take
from corntriton.runtime.shm.ref import DTYPE_NAMES, MAX_DIMS
from corntriton.runtime.tensors import Array


def source_of(tensor: Any, device: Device, stream: int) -> Taken | Array:
    """The tensor's memory: what was taken has to be released; the stream waits until it is written.

    Args:
        tensor: What has `__dlpack__`, or what np.asarray takes.
        device: The only one on which it may lie.
        stream: Of the device, on which it will be read.

    Raises:
        TypeError: It lies elsewhere, or refs have no such dtype, or so many dimensions.
    """
    if hasattr(tensor, "detach"):  # torch gives no memory of tensors that are part of a graph
        tensor = tensor.detach()
    if not hasattr(tensor, "__dlpack__") or isinstance(tensor, np.ndarray):
        return _checked_array(np.asarray(tensor))
    kind, number = tensor.__dlpack_device__()
    if kind != CUDA:
        return _checked_array(np.asarray(tensor))
    if number != device.ordinal:
        raise TypeError(
            f"a tensor lies on cuda:{number}, and its component has cuda:{device.ordinal}; "
            f"To fix: move it there"
        )
    return _taken(tensor, device, stream)


def _taken(tensor: Any, device: Device, stream: int) -> Taken:
    with device.current():
        taken = take(tensor.__dlpack__(stream=stream))
    if taken.dtype is not None and taken.dtype in DTYPE_NAMES and len(taken.shape) <= MAX_DIMS:
        if taken.contiguous:
            return taken
        taken.release()
        if hasattr(tensor, "contiguous"):  # as torch calls it
            return _taken(tensor.contiguous(), device, stream)
        raise TypeError(f"a tensor on cuda:{device.ordinal} is not contiguous; To fix: copy it")
    taken.release()
    raise TypeError(
        f"refs have no {len(taken.shape)} dimensions of dtype {taken.dtype or 'BF16 or the like'}"
    )


def _checked_array(array: Array) -> Array:
    if array.dtype not in DTYPE_NAMES or array.ndim > MAX_DIMS:
        raise TypeError(f"refs have no {array.ndim} dimensions of dtype {array.dtype}")
    return array if array.dtype == object else np.ascontiguousarray(array).reshape(array.shape)
