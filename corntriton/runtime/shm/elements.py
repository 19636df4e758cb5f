"""BYTES tensors as the inference protocol lays them out: each element's length in 4 bytes, then its bytes.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_grpc.md#tensor-data
"""

from __future__ import annotations

import math
import struct

import numpy as np

from corntriton.runtime.shm.errors import InvalidRefError
from corntriton.runtime.tensors import Array

_LENGTH = struct.Struct("<I")


def encoded_bytes(array: Array) -> int:
    """How much memory write_elements fills."""
    return _LENGTH.size * array.size + sum(map(len, array.flat))


def write_elements(array: Array, memory: memoryview) -> None:
    """Writes an object array of bytes into memory of just that size."""
    position = 0
    for element in array.flat:
        _LENGTH.pack_into(memory, position, len(element))
        position += _LENGTH.size
        memory[position : position + len(element)] = element
        position += len(element)


def read_elements(memory: memoryview, shape: tuple[int, ...]) -> Array:
    """The inverse: copies the elements out.

    Raises:
        InvalidRefError: The memory does not hold just so many elements.
    """
    n_elements = math.prod(shape)
    if n_elements * _LENGTH.size > len(memory):
        raise InvalidRefError("a ref's shape has more elements than its memory holds")
    elements = np.empty(n_elements, object)
    position = 0
    for index in range(n_elements):
        begin = position + _LENGTH.size
        position = begin + (_LENGTH.unpack_from(memory, position)[0] if begin <= len(memory) else 0)
        if position > len(memory):
            break
        elements[index] = bytes(memory[begin:position])
    if position != len(memory):
        raise InvalidRefError("a ref's memory does not hold the elements that its shape says")
    return elements.reshape(shape)
