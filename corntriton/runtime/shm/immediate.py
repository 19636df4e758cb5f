"""Tensors so small that they stand in the ref itself, as immediate operands do in an instruction.

    magic, dtype, number of dims, number of bytes | dims | data, zeros

Nobody owns one and nobody frees one. Who makes one up has made up a tensor, as he can inline, not a place.
"""

from __future__ import annotations

import math
import struct

import numpy as np

from corntriton.record.signature import DTYPES
from corntriton.runtime.shm.elements import encoded_bytes, read_elements, write_elements
from corntriton.runtime.shm.errors import InvalidRefError
from corntriton.runtime.shm.ref import DTYPE_NAMES, MAX_DIMS, REF_BYTES
from corntriton.runtime.tensors import NUMPY_DTYPES, Array

# No ref begins with these bytes, nor with any that differ from them in a few bits.
_MAGIC = b"small\xa5"
_HEAD = struct.Struct(f"={len(_MAGIC)}sBB{MAX_DIMS}BB")
DATA_BYTES = REF_BYTES - _HEAD.size
_CODES = {dtype: code for code, dtype in enumerate(DTYPES, start=1)}
_PADDING = bytes(DATA_BYTES)


def pack(array: Array) -> bytes | None:
    """The tensor as a ref; None where it is too large for one."""
    if array.nbytes > DATA_BYTES or array.ndim > MAX_DIMS or any(dim > 255 for dim in array.shape):
        return None
    if array.dtype == object:
        nbytes = encoded_bytes(array)
        if nbytes > DATA_BYTES:
            return None
        data = bytearray(nbytes)
        write_elements(array, memoryview(data))
    else:
        data = bytearray(array.tobytes())
    dims = array.shape + (0,) * (MAX_DIMS - array.ndim)
    head = _HEAD.pack(_MAGIC, _CODES[DTYPE_NAMES[array.dtype]], array.ndim, *dims, len(data))
    return head + data + _PADDING[len(data) :]


def is_immediate(packed: bytes) -> bool:
    """Whether these bytes hold the tensor itself."""
    return packed.startswith(_MAGIC)


def unpack(packed: bytes) -> Array:
    """The inverse, for bytes of any origin that is_immediate says yes to; nobody can write to the array.

    Raises:
        InvalidRefError: No tensor packs to these bytes.
    """
    if len(packed) != REF_BYTES:
        raise InvalidRefError(f"a ref has {REF_BYTES} bytes, not {len(packed)}")
    _, code, n_dims, *dims, nbytes = _HEAD.unpack_from(packed)
    if not 1 <= code <= len(DTYPES) or DTYPES[code - 1] not in NUMPY_DTYPES or n_dims > MAX_DIMS:
        raise InvalidRefError("these bytes are no ref, or one of another version")
    shape, dtype = tuple(dims[:n_dims]), NUMPY_DTYPES[DTYPES[code - 1]]
    data = packed[_HEAD.size : _HEAD.size + nbytes]
    if nbytes > DATA_BYTES or any(packed[_HEAD.size + nbytes :]) or any(dims[n_dims:]):
        raise InvalidRefError("a ref's unused bytes are not 0")
    if dtype.hasobject:
        return read_elements(memoryview(data), shape)
    if math.prod(shape) * dtype.itemsize != nbytes:
        raise InvalidRefError("a ref's number of bytes is not that of its shape")
    return np.frombuffer(data, dtype).reshape(shape)
