"""The values of a replay on Triton: tensors of the server stay as they are until somebody looks into them.

A value is one of: a `TensorValue`, a `RefValue`, an array of one item, a list of values that the flow put
together or whose elements come by ref, a `Constant` that the flow wrote down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from corntriton.record import joining
from corntriton.record.chunkers import parse_chunker
from corntriton.record.signature import Port
from corntriton.runtime.compiled import Constant, Step
from corntriton.runtime.tensors import Array, BadValueError, as_array


class TensorValue:
    """A tensor that the server gave us, with or without a batch dimension (of one) in front."""

    __slots__ = ("batched", "packed", "tensor")

    def __init__(self, tensor: Any, batched: bool) -> None:
        self.tensor = tensor
        self.batched = batched
        self.packed: list[bytes] | None = None  # once somebody has put it into the arena

    @property
    def item(self) -> Array:
        """A view of it without the batch dimension."""
        array: Array = self.tensor.as_numpy()
        return array[0] if self.batched else array

    def __getitem__(self, index: int) -> Array:
        """An element of a list."""
        element: Array = self.item[index]
        return element


class Reader(Protocol):
    """Reads tensors by their refs."""

    def read(self, packed: bytes) -> Array:
        """The tensor, which nobody can write to."""


class RefValue:
    """A tensor in shared memory, of which we have the ref.

    Attributes:
        packed: On the host; None where only GPUs want it, and here it cannot be read.
        on_device: For readers on GPUs, perhaps in the memory of one; None where none was asked for.
    """

    __slots__ = ("_reader", "on_device", "packed")

    def __init__(self, packed: bytes | None, reader: Reader, on_device: bytes | None = None) -> None:
        self.packed = packed
        self.on_device = on_device
        self._reader = reader

    @property
    def item(self) -> Array:
        """A view of it that nobody can write to."""
        return self._reader.read(self.ref(on_device=False))

    def ref(self, on_device: bool) -> bytes:
        """For a reader on a GPU, or one on the host."""
        packed = self.on_device if on_device and self.on_device is not None else self.packed
        assert packed is not None  # who reads it on the host has asked for it: see calls.py
        return packed

    def renew(self, other: RefValue) -> None:
        """Names the same tensor where it lies now."""
        self.packed, self.on_device = other.packed, other.on_device


def on_devices(value: Any) -> Iterator[RefValue]:
    """Those tensors of a value that readers on GPUs have refs to."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, RefValue) and each.on_device is not None:
            yield each


def array_of(value: Any, port: Port) -> Array:
    """The value as an array without batch dimension; a list has one more dimension in front.

    Raises:
        BadValueError: Elements of a list differ in shape.
    """
    if isinstance(value, (TensorValue, RefValue)):
        return value.item
    if isinstance(value, Constant):
        return as_array(value.value, port)
    if isinstance(value, list):
        element = replace(port, list=False)
        return as_array([array_of(each, element) for each in value], port)
    return np.asarray(value)


def constant_array(value: bool | str) -> Array:
    """A constant of the deployment, such as `stream` of vLLM, as an array of shape [1]."""
    return np.array([value.encode()], dtype=object) if isinstance(value, str) else np.array([value])


def inline(name: str, value: Any, port: Port, batched: bool) -> TensorValue | Array:
    """The value to be sent by this name: the very tensor it came as, where name and dimensions allow."""
    if isinstance(value, TensorValue) and value.batched == batched and value.tensor.name() == name:
        return value
    try:
        array = array_of(value, port)
    except BadValueError as error:
        raise BadValueError(f"{name} {error}") from None
    return array[None] if batched else array


def tensor_of(pb_utils: Any, name: str, value: Any, port: Port, batched: bool) -> Any:
    """The value as a tensor of the server."""
    sent = inline(name, value, port, batched)
    return sent.tensor if isinstance(sent, TensorValue) else pb_utils.Tensor(name, sent)


def join(pieces: Sequence[Any], port: Port) -> Any:
    """The whole value of a stream."""
    if len(pieces) == 1:
        return pieces[0]
    return joining.join([array_of(piece, port) for piece in pieces], port)


class ValueCutter:
    """A chunker of values: text becomes constants, arrays stay arrays."""

    def __init__(self, by: str, port: Port) -> None:
        kind = parse_chunker(by)
        self._text = kind.text
        self._chunker = kind.start()
        self._port = port

    def feed(self, piece: Any) -> Iterable[Any]:
        """Takes a piece and gives the chunks that it completed."""
        array = array_of(piece, self._port)
        if not self._text:
            return self._chunker.feed(array)
        return [Constant(chunk) for text in array.flat for chunk in self._chunker.feed(text)]

    def flush(self) -> Iterable[Any]:
        """Gives the rest, once there are no more pieces."""
        chunks = self._chunker.flush()
        return [Constant(chunk) for chunk in chunks] if self._text else chunks


class ValueCaller:
    """What callers of components have in common: how they cut and join the values that they pass."""

    def cutter(self, step: Step) -> ValueCutter:
        """Cuts the step's chunked argument."""
        assert step.chunked is not None  # by the caller
        return ValueCutter(step.chunked.by, step.chunked.port)

    def join(self, pieces: Sequence[Any], port: Port) -> Any:
        """Joins what came in pieces."""
        return join(pieces, port)
