"""Memory between libraries that know nothing of each other: https://dmlc.github.io/dlpack/latest/c_api.html.

Capsules without a version: every library takes and gives them.
"""

from __future__ import annotations

import ctypes
import math
import sys
import threading
from ctypes import pythonapi
from typing import Any, NamedTuple

import numpy as np

CPU, CUDA, CUDA_HOST = 1, 2, 3  # DLDeviceType
_KINDS = {"i": 0, "u": 1, "f": 2, "b": 6}  # DLDataTypeCode, by numpy's kind
_KIND_NAMES = {code: kind for kind, code in _KINDS.items()}
_FRESH, _USED = b"dltensor", b"used_dltensor"


class _Tensor(ctypes.Structure):
    """DLTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    """DLManagedTensor."""

    _fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


_Callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
    ("PyCapsule_New", pythonapi)
)
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", pythonapi)
)
_rename = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_SetName", pythonapi))
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_IsValid", pythonapi)
)

# What other libraries hold, by the address of its description, with whose memory it is.
_given: dict[int, tuple[Any, ...]] = {}
# Capsules that may not have been taken yet. They have no destructor: one in Python would replace the error
# of a library that refuses a capsule.
_fresh: dict[int, Any] = {}
_lock = threading.Lock()


def _forget(address: int) -> None:
    _given.pop(address, None)


_delete = _Callback(_forget)
pythonapi.Py_IncRef(ctypes.py_object(_delete))  # others may call it when this module has gone


def forget_unused() -> None:
    """Lets go of what the capsules name that nobody has taken and nobody has any more."""
    with _lock:
        for address in [*_fresh]:
            taken = not _is_valid(_fresh[address], _FRESH)
            unused = not taken and sys.getrefcount(_fresh[address]) == 2  # the dict, and the argument here
            if taken or unused:
                del _fresh[address]
            if unused:
                _forget(address)


def give(
    pointer: int, shape: tuple[int, ...], dtype: np.dtype[Any], device: tuple[int, int], owner: object
) -> Any:
    """A capsule that names the memory; the owner lives until whoever takes it has let go of it.

    If nobody takes it, that is noticed when the next one is given.
    """
    forget_unused()
    dims = (ctypes.c_int64 * len(shape))(*shape)
    kind, bits = _KINDS[dtype.kind], 8 * dtype.itemsize
    tensor = _Tensor(pointer, *device, len(shape), kind, bits, 1, dims, None, 0)
    managed = _Managed(tensor, None, ctypes.cast(_delete, ctypes.c_void_p))
    address = ctypes.addressof(managed)
    _given[address] = managed, dims, owner
    with _lock:
        capsule = _fresh[address] = _new(address, _FRESH, None)
    return capsule


class Taken(NamedTuple):
    """Memory of another library, until it is released.

    Attributes:
        pointer: Of the first element.
        shape: Of the tensor.
        dtype: None where numpy has none for it.
        device: DLDeviceType, and its number in this process.
        contiguous: Whether the elements lie one after the other, the last dimension's first.
        address: Of its description.
    """

    pointer: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    device: tuple[int, int]
    contiguous: bool
    address: int

    @property
    def nbytes(self) -> int:
        """Of all elements."""
        return math.prod(self.shape) * self.dtype.itemsize if self.dtype is not None else 0

    def release(self) -> None:
        """Lets go of it, once."""
        managed = _Managed.from_address(self.address)
        if managed.deleter:
            _Callback(managed.deleter)(self.address)


def take(capsule: Any) -> Taken:
    """The memory that a capsule names, which is the caller's to release."""
    address = _pointer(capsule, _FRESH)
    _rename(capsule, _USED)
    tensor = _Managed.from_address(address).tensor
    shape = tuple(tensor.shape[: tensor.ndim])
    strides = tuple(tensor.strides[: tensor.ndim]) if tensor.strides else None
    contiguous = strides is None or _are_contiguous(shape, strides)
    device = (tensor.device_type, tensor.device_id)
    pointer = (tensor.data or 0) + tensor.byte_offset
    return Taken(pointer, shape, _dtype(tensor), device, contiguous, address)


def _dtype(tensor: _Tensor) -> np.dtype[Any] | None:
    kind = _KIND_NAMES.get(tensor.code)
    if kind is None or tensor.lanes != 1 or tensor.bits % 8:
        return None
    try:
        return np.dtype("?" if kind == "b" else f"{kind}{tensor.bits // 8}")
    except TypeError:
        return None


def _are_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    expected = 1
    for dim, stride in zip(reversed(shape), reversed(strides), strict=True):
        if dim != 1 and stride != expected:
            return math.prod(shape) == 0
        expected *= dim
    return True
