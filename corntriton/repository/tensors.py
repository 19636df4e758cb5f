"""Ports as a config.pbtxt has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from corntriton.record.signature import Port


@dataclass(frozen=True)
class Tensor:
    """An input or output of a Triton model; the templates write these.

    Attributes:
        name: As Triton has it.
        data_type: TYPE_FP32, TYPE_STRING, ...
        dims: Without the batch dimension; a list of items begins with -1.
        optional: An input that a request may leave out.
        ragged: Requests are joined though their shapes differ.
        reshape: The shape that the backend sees, where it is another.
    """

    name: str
    data_type: str
    dims: tuple[int, ...]
    optional: bool = False
    ragged: bool = False
    reshape: tuple[int, ...] | None = None


def tensors_of(ports: Mapping[str, Port], inputs: bool = False, ragged: bool = False) -> tuple[Tensor, ...]:
    """The tensors of ports, in their order.

    Args:
        ports: By Triton name.
        inputs: Only inputs can be optional: a response may lack any output.
        ragged: Whether inputs of varying shape are to be joined into batches.
    """
    return tuple(_tensor(name, port, inputs, inputs and ragged) for name, port in ports.items())


def _tensor(name: str, port: Port, is_input: bool, ragged: bool) -> Tensor:
    data_type = "TYPE_STRING" if port.dtype == "BYTES" else f"TYPE_{port.dtype}"
    dims = (-1, *port.dims) if port.list else port.dims
    return Tensor(name, data_type, dims, is_input and port.optional, ragged and -1 in dims)
