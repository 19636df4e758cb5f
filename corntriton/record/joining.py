"""Whole values and chunks, either way: the chunks of a stream joined, a whole value cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corntriton.record.chunkers import parse_chunker
from corntriton.record.signature import Port

# numpy's names where they are not the protocol's in lower case; numpy has no BF16.
_NUMPY_NAMES = {"FP16": "float16", "BF16": "float32", "FP32": "float32", "FP64": "float64", "BYTES": "object"}


def join(chunks: Sequence[Any], port: Port) -> Any:
    """The whole value of a stream.

    Args:
        chunks: What came, in order: text as str, bytes or arrays of either; numbers as anything that
            numpy takes; lists for a list port.
        port: Of one chunk.

    Returns:
        Texts put together element by element, arrays along their first dimension, lists one after the other.
    """
    if len(chunks) == 1:
        return chunks[0]
    if port.list:
        return [item for chunk in chunks for item in chunk]
    if not chunks:
        return _nothing(port)
    if port.dtype == "BYTES":
        return _joined_text(chunks)
    import numpy as np  # recording needs none

    return np.concatenate([np.atleast_1d(chunk) for chunk in chunks])


def cut(value: Any, by: str) -> list[Any]:
    """The chunks of a whole value, of the value's own type: str gives str, an array gives arrays."""
    kind = parse_chunker(by)
    chunker = kind.start()
    if not kind.text:
        return [*chunker.feed(value), *chunker.flush()]
    if isinstance(value, str):
        return [*chunker.feed(value), *chunker.flush()]
    if isinstance(value, bytes):
        return [chunk.encode() for chunk in (*chunker.feed(value), *chunker.flush())]
    return [_like(value, chunk) for chunk in cut(value.item(), by)]


def _nothing(port: Port) -> Any:
    import numpy as np

    shape = [max(dim, 0) for dim in port.dims]
    if port.dtype == "BYTES":
        return np.full(shape, b"", dtype=object)
    return np.zeros([0, *shape[1:]], dtype=_NUMPY_NAMES.get(port.dtype, port.dtype.lower()))


def _joined_text(chunks: Sequence[Any]) -> Any:
    if all(isinstance(chunk, str) for chunk in chunks):
        return "".join(chunks)
    if all(isinstance(chunk, (str, bytes)) for chunk in chunks):
        return b"".join(_bytes(chunk) for chunk in chunks)
    import numpy as np

    first = np.asarray(chunks[0], dtype=object)
    joined = np.empty(first.shape, dtype=object)
    arrays = [np.asarray(chunk, dtype=object).reshape(first.shape) for chunk in chunks]
    for index in np.ndindex(first.shape):
        joined[index] = b"".join(_bytes(array[index]) for array in arrays)
    return joined


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _like(array: Any, element: Any) -> Any:
    like = array.astype(object)  # fixed-width strings would cut longer ones off
    like.flat[0] = element
    return like
