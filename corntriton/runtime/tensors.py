"""Between values and tensors: what a component returns becomes an array of its port's dtype and dims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corntriton.record.signature import Port

Array = NDArray[Any]

# Ports of other dtypes (BF16) have no numpy counterpart and no as_numpy() in the Python backend.
NUMPY_DTYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}


class BadValueError(ValueError):
    """A value does not fit its port; the message says how, without the port's name."""


def as_array(value: Any, port: Port) -> Array:
    """Makes a contiguous array of the port's dtype and dims; a list port's has its elements stacked.

    Args:
        value: Whatever np.asarray takes, str and bytes for BYTES, a torch tensor; a scalar where all dims
            are 1 or vary; for a list port a list of such.
        port: What it has to fit.

    Raises:
        BadValueError: The dtype cannot be converted without loss of kind or value, or the shape differs.
    """
    if not port.list:
        return as_element(value, port)
    if isinstance(value, np.ndarray) and value.dtype != object:
        return as_element(value, Port(port.dtype, (-1, *port.dims)))
    return _stack([as_element(one, port) for one in elements_of(value)], port)


def elements_of(value: Any) -> list[Any]:
    """The elements of a list port's value, whatever they are.

    Raises:
        BadValueError: It is no list.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise BadValueError(f"is {_describe(value)}, not a list")
    return list(value)


def as_element(value: Any, port: Port) -> Array:
    """A single value, or an element of a list port's, by itself: the shapes of elements may differ.

    Raises:
        BadValueError: As in as_array.
    """
    if port.dtype == "BYTES":
        array = _as_bytes(value)
    else:
        array = _as_numbers(value, NUMPY_DTYPES[port.dtype], port.dtype)
    if array.ndim == 0 and all(dim in (1, -1) for dim in port.dims):
        array = array.reshape((1,) * len(port.dims))
    if not fits(array.shape, port.dims):
        raise BadValueError(f"has shape {[*array.shape]}, but its dims are {[*port.dims]}")
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def as_value(array: Array, port: Port) -> Array | list[Array]:
    """The inverse: what users get to see; a list port's value is a list of arrays."""
    return list(array) if port.list else array


def read_tensors(tensors: Iterable[Any]) -> dict[str, Array]:
    """The arrays of pb_utils tensors by name: of `request.inputs()` or `response.output_tensors()`."""
    return {tensor.name(): tensor.as_numpy() for tensor in tensors}


def write_tensor(name: str, array: Array) -> Any:
    """A pb_utils tensor that holds a copy of the array in the server's shared memory."""
    import triton_python_backend_utils as pb_utils  # exists in the server's Python processes only

    return pb_utils.Tensor(name, array)


def _stack(elements: list[Array], port: Port) -> Array:
    if not elements:
        return np.empty((0, *(max(dim, 0) for dim in port.dims)), NUMPY_DTYPES[port.dtype])
    shapes = {element.shape for element in elements}
    if len(shapes) > 1:
        shown = ", ".join(str([*shape]) for shape in sorted(shapes))
        raise BadValueError(f"has elements of different shapes, {shown}, which one tensor cannot hold")
    return np.stack(elements)


def fits(shape: tuple[int, ...], dims: tuple[int, ...]) -> bool:
    """Whether the shape is one that the dims allow; -1 allows any length."""
    if len(shape) != len(dims):
        return False
    for size, dim in zip(shape, dims, strict=True):  # noqa: SIM110 - takes a third of the time of all()
        if dim not in (-1, size):
            return False
    return True


def _as_bytes(value: Any) -> Array:
    if isinstance(value, (str, bytes, bytearray)):
        array: Array = np.empty((), dtype=object)
        array[()] = value
    else:
        array = np.asarray(value, dtype=object)
    flat = [_encode(element) for element in array.reshape(-1)]
    encoded = np.empty(len(flat), dtype=object)
    encoded[:] = flat
    return encoded.reshape(array.shape)


def _encode(element: Any) -> bytes:
    if isinstance(element, str):
        return element.encode()
    if isinstance(element, (bytes, bytearray)):
        return bytes(element)
    raise BadValueError(f"holds {_describe(element)}, but BYTES takes str and bytes")


def _as_numbers(value: Any, dtype: np.dtype[Any], name: str) -> Array:
    if hasattr(value, "detach"):  # a torch tensor, perhaps on a GPU or part of a graph
        value = value.detach().cpu()
    try:
        array: Array = np.asarray(value)
    except (ValueError, TypeError) as error:  # ragged lists, BF16 tensors
        raise BadValueError(f"is not an array: {error}") from None
    if array.dtype == dtype:
        return array
    if array.dtype.kind not in "biuf" or not _convertible(array, dtype):
        raise BadValueError(f"holds {array.dtype}, which is not {name} and cannot become it without loss")
    return array.astype(dtype)


def _convertible(array: Array, dtype: np.dtype[Any]) -> bool:
    if array.dtype.kind in "iu" and dtype.kind in "iu":
        return bool((array.astype(dtype) == array).all())
    # float64 to float32 loses digits, not meaning: Python's floats could not be returned otherwise.
    return np.can_cast(array.dtype, dtype, "same_kind")


def _describe(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
