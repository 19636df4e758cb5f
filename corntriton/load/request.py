"""A request as bytes: encoded once, sent many times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tritonclient.grpc.service_pb2 import ModelInferRequest
from tritonclient.utils import np_to_triton_dtype, serialize_byte_tensor

from corntriton.record.path import Scalar
from corntriton.runtime.tensors import Array


@dataclass(frozen=True)
class Request:
    """What is sent.

    Attributes:
        body: A ModelInferRequest.
        streams: Its model is decoupled: the answer comes in pieces.
    """

    body: bytes
    streams: bool = False


def encode(
    model: str,
    inputs: Mapping[str, Array],
    outputs: Sequence[str] = (),
    parameters: Mapping[str, Scalar] | None = None,
    streams: bool = False,
) -> Request:
    """A request for a Triton model.

    Args:
        model: Its name.
        inputs: Tensors by name.
        outputs: Those asked for; none for all that there are.
        parameters: Of the request.
        streams: The model is decoupled.
    """
    request = ModelInferRequest(model_name=model)
    for name, array in inputs.items():
        request.inputs.add(name=name, datatype=np_to_triton_dtype(array.dtype), shape=array.shape)
        request.raw_input_contents.append(_raw(array))
    for name in outputs:
        request.outputs.add(name=name)
    for name, value in (parameters or {}).items():
        _set(request, name, value)
    if streams:
        # Else nothing would tell the end of a stream whose last response was not known to be its last.
        request.parameters["triton_enable_empty_final_response"].bool_param = True
    return Request(request.SerializeToString(), streams)


def _raw(array: Array) -> bytes:
    if array.dtype == np.object_:
        serialized = serialize_byte_tensor(array)
        return bytes(serialized.item()) if serialized.size else b""
    return np.ascontiguousarray(array).tobytes()


def _set(request: ModelInferRequest, name: str, value: Scalar) -> None:
    parameter = request.parameters[name]
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, int):
        parameter.int64_param = value
    elif isinstance(value, float):
        parameter.double_param = value
    elif value is not None:
        parameter.string_param = value
