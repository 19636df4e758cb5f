"""Reads the ports of an ONNX file and holds them against what the user declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any

from corntriton.errors import CorntritonError
from corntriton.record.signature import Port
from corntriton.spec.files import Spot
from corntriton.spec.model import ComponentSpec
from corntriton.spec.validation import choose

# onnx.TensorProto.DataType by number: https://github.com/onnx/onnx/blob/v1.16.0/onnx/onnx.proto#L503
_DTYPES = {
    1: "FP32", 2: "UINT8", 3: "INT8", 4: "UINT16", 5: "INT16", 6: "INT32", 7: "INT64", 8: "BYTES",
    9: "BOOL", 10: "FP16", 11: "FP64", 12: "UINT32", 13: "UINT64", 16: "BF16",
}  # fmt: skip


class UnreadableOnnxError(CorntritonError):
    """The file is no ONNX model, or one whose ports cannot be served."""


@dataclass(frozen=True)
class OnnxFile:
    """What an ONNX file says about itself.

    Attributes:
        inputs: Ports with the shapes of the file, its batch dimension included.
        outputs: The same.
        data: Names of files beside it that hold its weights.
    """

    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]
    data: tuple[str, ...]


def read_onnx(file: File) -> OnnxFile:
    """Reads a file's graph, not its weights.

    Raises:
        UnreadableOnnxError: It is no ONNX model, its weights are not beside it, or a port is no tensor
            of a known shape and dtype.
    """
    import onnx  # a third of a second: only models with ONNX components pay for it

    try:
        model = onnx.load(file, format="protobuf", load_external_data=False)
    except Exception as error:  # protobuf's own DecodeError, and whatever the file system says
        raise UnreadableOnnxError(f"{file.name} is not an ONNX model: {error}") from error
    graph = model.graph
    if not graph.output:
        raise UnreadableOnnxError(f"{file.name} is not an ONNX model: it has no outputs")
    weights = {tensor.name for tensor in graph.initializer}
    data = tuple(sorted({name for tensor in graph.initializer for name in _locations(tensor)}))
    for name in data:
        if not (file.parent / name).is_file():
            raise UnreadableOnnxError(f"{file.name} keeps weights in {name}, which is not beside it")
    return OnnxFile(
        {value.name: _port(value) for value in graph.input if value.name not in weights},
        {value.name: _port(value) for value in graph.output},
        data,
    )


def without_batch(file: OnnxFile, spec: ComponentSpec, spot: Spot) -> OnnxFile | None:
    """The file's ports as Triton serves them; None, noted, where a port's first dimension can be no batch.

    Args:
        file: What the file says.
        spec: The component; with max_batch_size above 0, every port's first dimension is the batch.
        spot: The component's place.
    """
    if spec.batching.max_batch_size == 0:
        return file
    for name, port in {**file.inputs, **file.outputs}.items():
        if len(port.dims) < 2 or port.dims[0] != -1:
            alone = port.dims == (-1,)
            why = "nothing is left beside the batch" if alone else "its first dimension cannot be a batch"
            fix = "write batching: {max_batch_size: 0}, or export it with a first dimension that may vary"
            spot.at("batching").note(f"port {name} of the file is {list(port.dims)}: {why}", fix)
            return None
    return OnnxFile(_rows(file.inputs), _rows(file.outputs), file.data)


def check_declared(spec: ComponentSpec, side: str, served: Mapping[str, Port], spot: Spot) -> None:
    """Notes declared ports of one side, `inputs` or `outputs`, that the file contradicts."""
    declared = getattr(spec, side)
    for name, port in (declared or {}).items():
        here = spot.at(side, name)
        if name in served:
            _compare(port.to_port(), served[name], here)
        else:
            here.note("is not a port of the file", choose(name, served, "remove it"))
    missing = ", ".join(sorted(set(served) - set(declared or served)))
    if missing and side == "inputs":
        what = f"leaves out {missing}, which the file needs"
        spot.at(side).note(what, f"add {missing}, or leave inputs out to take all from the file")


def _port(value: Any) -> Port:
    if not value.type.HasField("tensor_type"):
        raise UnreadableOnnxError(f"its port {value.name} is not a tensor, which Triton could not serve")
    tensor = value.type.tensor_type
    if tensor.elem_type not in _DTYPES:
        raise UnreadableOnnxError(f"its port {value.name} has an element type that Triton does not know")
    if not tensor.HasField("shape"):
        raise UnreadableOnnxError(f"its port {value.name} has no declared shape")
    dims = tuple(dim.dim_value if dim.dim_value > 0 else -1 for dim in tensor.shape.dim)
    return Port(_DTYPES[tensor.elem_type], dims)


def _locations(tensor: Any) -> list[str]:
    return [entry.value for entry in tensor.external_data if entry.key == "location"]


def _rows(ports: Mapping[str, Port]) -> dict[str, Port]:
    return {name: Port(port.dtype, port.dims[1:]) for name, port in ports.items()}


def _compare(port: Port, theirs: Port, spot: Spot) -> None:
    if port.dtype != theirs.dtype:
        spot.at("dtype").note(f"is {port.dtype}, but {theirs.dtype} in the file", f"write {theirs.dtype}")
    dims = (-1, *port.dims) if port.list else port.dims
    fits = len(dims) == len(theirs.dims) and all(
        found in (-1, said) for said, found in zip(dims, theirs.dims, strict=True)
    )
    if not fits:
        what = f"is {list(dims)}, but {list(theirs.dims)} in the file, the batch dimension apart"
        spot.at("dims").note(what, f"write {list(theirs.dims)}, or leave the ports out")
