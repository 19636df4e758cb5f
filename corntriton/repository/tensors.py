"""Ports as a config.pbtxt has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from corntriton.record.signature import Port
from corntriton.runtime.settings import DREF, REF
from corntriton.runtime.shm.ref import REF_BYTES


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


def with_refs(
    tensors: Sequence[Tensor],
    ports: Mapping[str, Port],
    by_ref: Sequence[str],
    inputs: bool = False,
    ragged: bool = False,
    by_dref: Sequence[str] = (),
) -> tuple[Tensor, ...]:
    """The tensors, and behind each whose port passes by ref that of its refs; a request gives one of both.

    Args:
        tensors: Of the ports, in their order.
        ports: By name.
        by_ref: Names of those that pass by ref.
        inputs: Only inputs can be optional.
        ragged: Whether lists of varying length are to be joined into batches.
        by_dref: Names of outputs that pass by refs for readers on GPUs too.
    """
    found: list[Tensor] = []
    for tensor in tensors:
        if tensor.name not in by_ref:
            found.append(tensor)
            continue
        port = ports[tensor.name]
        dims = (-1, REF_BYTES) if port.list else (REF_BYTES,)
        found.append(replace(tensor, optional=inputs))
        for suffix in (REF, DREF) if tensor.name in by_dref else (REF,):
            found.append(Tensor(tensor.name + suffix, "TYPE_UINT8", dims, inputs, ragged and port.list))
    return tuple(found)


def _tensor(name: str, port: Port, is_input: bool, ragged: bool) -> Tensor:
    data_type = "TYPE_STRING" if port.dtype == "BYTES" else f"TYPE_{port.dtype}"
    dims = (-1, *port.dims) if port.list else port.dims
    return Tensor(name, data_type, dims, is_input and port.optional, ragged and -1 in dims)
