"""Values by name as one array of bytes, and back: what goes into a call of an executor, and what comes out.

    size of the head | head: JSON, what lies where | memory of the arrays

Not marshal, as between a host and its worker: clients reach an executor's Triton model as well, and marshal
data that somebody has made up can crash the interpreter.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from corntriton.runtime.shm.ref import REF_BYTES
from corntriton.runtime.tensors import NUMPY_DTYPES, Array

_SIZE = struct.Struct("<Q")
_ALIGNED_BYTES = 16
_NAMES = {dtype: name for name, dtype in NUMPY_DTYPES.items()}
_LENGTH = np.dtype("<u4")


_REF = "REF"  # in place of a dtype


class BadParcelError(ValueError):
    """Bytes that are no parcel."""


class ByRef(NamedTuple):
    """A value that lies elsewhere: its ref, of shape [192], or those of a list's elements, [length, 192]."""

    refs: Array


def pack(values: Mapping[str, Array | ByRef], note: Mapping[str, Any] | None = None) -> Array:
    """One array of UINT8 of shape [-1].

    Args:
        values: Arrays by name, of BYTES arrays of bytes; or refs to them.
        note: Plain data that goes along.
    """
    places, memory, offset = [], [], 0
    for name, value in values.items():
        array = value.refs if isinstance(value, ByRef) else value
        parts = [*_memory_of(array)]
        nbytes = sum(part.nbytes for part in parts)
        dtype = _REF if isinstance(value, ByRef) else _NAMES[array.dtype]
        places.append((name, dtype, array.shape, offset, nbytes))
        memory.append((offset, parts))
        offset += _aligned(nbytes)
    head = json.dumps([places, note or {}], separators=(",", ":")).encode()
    begin = _aligned(_SIZE.size + len(head))
    parcel = np.zeros(begin + offset, np.uint8)
    parcel[: _SIZE.size + len(head)] = np.frombuffer(_SIZE.pack(len(head)) + head, np.uint8)
    for place, parts in memory:
        at = begin + place
        for part in parts:
            parcel[at : at + part.nbytes] = part
            at += part.nbytes
    return parcel


def unpack(parcel: Array) -> tuple[dict[str, Array | ByRef], dict[str, Any]]:
    """The values, which lie in the parcel's memory where they can, and the note.

    Raises:
        BadParcelError: These bytes were not packed.
    """
    try:
        (n_head,) = _SIZE.unpack(parcel[: _SIZE.size].tobytes())
        places, note = json.loads(parcel[_SIZE.size : _SIZE.size + n_head].tobytes())
        memory = parcel[_aligned(_SIZE.size + n_head) :]
        values = {
            name: _value(dtype, shape, memory[offset : offset + nbytes])
            for name, dtype, shape, offset, nbytes in places
        }
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise BadParcelError(f"is no parcel: {error}") from None
    if not isinstance(note, dict):
        raise BadParcelError("is no parcel: its note is no object")
    return values, note


def _memory_of(array: Array) -> Iterator[Array]:
    if array.dtype != object:
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        return
    elements = [*array.flat]
    yield np.array([len(element) for element in elements], _LENGTH).view(np.uint8)
    yield np.frombuffer(b"".join(elements), np.uint8)


def _value(dtype: str, shape: list[int], memory: Array) -> Array | ByRef:
    if dtype != _REF:
        return _array(dtype, shape, memory)
    refs = memory.reshape(_checked(shape))
    if refs.shape[-1:] != (REF_BYTES,) or refs.ndim > 2:
        raise ValueError("refs have another shape")
    return ByRef(refs)


def _array(dtype: str, shape: list[int], memory: Array) -> Array:
    if dtype != "BYTES":
        return memory.view(NUMPY_DTYPES[dtype]).reshape(_checked(shape))
    count = int(np.prod(_checked(shape), dtype=np.int64))
    lengths = memory[: count * _LENGTH.itemsize].view(_LENGTH)
    if len(lengths) != count:
        raise ValueError("an array is cut off")
    ends = (count * _LENGTH.itemsize + np.cumsum(lengths, dtype=np.int64)).tolist()
    if ends and ends[-1] != len(memory):
        raise ValueError("texts do not fill their memory")
    begins = [count * _LENGTH.itemsize, *ends[:-1]]
    array = np.empty(count, object)
    array[:] = [memory[begin:end].tobytes() for begin, end in zip(begins, ends, strict=False)]
    return array.reshape(shape)


def _checked(shape: list[int]) -> list[int]:
    if any(size < 0 for size in shape):
        raise ValueError("a size is negative")
    return shape


def _aligned(nbytes: int) -> int:
    return -(-nbytes // _ALIGNED_BYTES) * _ALIGNED_BYTES
