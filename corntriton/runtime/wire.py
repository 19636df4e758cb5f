"""Messages as bytes: a head that marshal writes, and beside it the memory of large arrays.

Marshal and not pickle: for a request of one small tensor it takes a quarter of the time, on either side,
and it loads data only. Both sides are the same interpreter, so its format may differ between versions.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corntriton.runtime.messages import (
    Batch,
    Call,
    Chunk,
    End,
    Failure,
    Loaded,
    Message,
    Order,
    Results,
    Start,
)
from corntriton.runtime.tensors import Array

# Smaller arrays cost less inside the head than a receive of their own.
_INLINE_BYTES = 16 * 1024
Keep = Callable[[memoryview], int]


def encode(message: Message) -> tuple[bytes, list[memoryview]]:
    """The head and the buffers beside it."""
    beside: list[memoryview] = []

    def keep(memory: memoryview) -> int:
        beside.append(memory)
        return len(beside) - 1

    return marshal.dumps((type(message).__name__, _ENCODERS[type(message)](message, keep))), beside


def decode(head: memoryview, beside: Sequence[memoryview]) -> Message:
    """The inverse; arrays lie in the buffers, and are writable."""
    kind, data = marshal.loads(head)
    message: Message = _DECODERS[kind](data, beside)
    return message


def _pack_arrays(arrays: dict[str, Array], keep: Keep) -> list[tuple[Any, ...]]:
    return [(name, array.dtype.str, array.shape, _pack(array, keep)) for name, array in arrays.items()]


def _pack(array: Array, keep: Keep) -> bytes | list[bytes] | int:
    if array.dtype == object:  # BYTES
        return [*array.flat]
    if array.nbytes <= _INLINE_BYTES:
        return array.tobytes()
    return keep(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _unpack_arrays(packed: Sequence[Any], beside: Sequence[memoryview]) -> dict[str, Array]:
    return {name: _unpack(dtype, shape, data, beside) for name, dtype, shape, data in packed}


def _unpack(dtype: str, shape: tuple[int, ...], data: Any, beside: Sequence[memoryview]) -> Array:
    if isinstance(data, list):
        array = np.empty(len(data), object)
        array[:] = data
        return array.reshape(shape)
    # Of bytes, an array would be read-only, which users do not expect of an input.
    return np.frombuffer(beside[data] if isinstance(data, int) else bytearray(data), dtype).reshape(shape)


def _pack_call(call: Call, keep: Keep) -> tuple[Any, ...]:
    return (_pack_arrays(call.inputs, keep), *call[1:])


def _unpack_call(data: Sequence[Any], beside: Sequence[memoryview]) -> Call:
    return Call(_unpack_arrays(data[0], beside), *data[1:])


def _pack_result(result: dict[str, Array] | Failure, keep: Keep) -> Any:
    return tuple(result) if isinstance(result, Failure) else _pack_arrays(result, keep)


def _unpack_result(data: Any, beside: Sequence[memoryview]) -> dict[str, Array] | Failure:
    return Failure(*data) if isinstance(data, tuple) else _unpack_arrays(data, beside)


_ENCODERS: dict[type, Callable[[Any, Keep], Any]] = {
    Order: lambda order, keep: (str(order.folder), order.instance, order.device),
    Loaded: lambda loaded, keep: (),
    Failure: lambda failure, keep: tuple(failure),
    Batch: lambda batch, keep: [_pack_call(call, keep) for call in batch.calls],
    Results: lambda results, keep: [_pack_result(result, keep) for result in results.results],
    Start: lambda start, keep: (start.slot, _pack_call(start.call, keep)),
    Chunk: lambda chunk, keep: (chunk.slot, _pack_arrays(chunk.outputs, keep)),
    End: lambda end, keep: (
        end.slot,
        end.failure and tuple(end.failure),
        end.outputs and _pack_arrays(end.outputs, keep),
    ),
}
_DECODERS: dict[str, Callable[[Any, Sequence[memoryview]], Any]] = {
    "Order": lambda data, beside: Order(Path(data[0]), *data[1:]),
    "Loaded": lambda data, beside: Loaded(),
    "Failure": lambda data, beside: Failure(*data),
    "Batch": lambda data, beside: Batch([_unpack_call(call, beside) for call in data]),
    "Results": lambda data, beside: Results([_unpack_result(result, beside) for result in data]),
    "Start": lambda data, beside: Start(data[0], _unpack_call(data[1], beside)),
    "Chunk": lambda data, beside: Chunk(data[0], _unpack_arrays(data[1], beside)),
    "End": lambda data, beside: End(
        data[0], data[1] and Failure(*data[1]), data[2] and _unpack_arrays(data[2], beside)
    ),
}
