"""Calls models with plain Python values, through the ordinary tritonclient; for our own tools.

A value is a str or bytes (BYTES of shape [1]), an array, or a list of those, which becomes one tensor with a
row for each: the form in which models take list inputs.
"""

from __future__ import annotations

import http.client
import json
import queue
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import np_to_triton_dtype

Array = npt.NDArray[Any]
Value = str | bytes | Array | Sequence["Value"]
Scalar = str | int | bool


class Client:
    """One connection to a server, over `http` or `grpc`; for use by one thread.

    Attributes:
        triton: The tritonclient client below, for everything that is not made easier here.
    """

    def __init__(self, url: str, protocol: str = "http", network_timeout_s: float = 120.0) -> None:
        self._module: ModuleType = {"http": tritonclient.http, "grpc": tritonclient.grpc}[protocol]
        waits = {"connection_timeout": network_timeout_s, "network_timeout": network_timeout_s}
        self.triton = self._module.InferenceServerClient(url, **(waits if protocol == "http" else {}))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.triton.close()

    def infer(
        self,
        model: str,
        inputs: Mapping[str, Value],
        outputs: Sequence[str] = (),
        parameters: Mapping[str, Scalar] | None = None,
        timeout_s: float | None = None,
    ) -> dict[str, Array]:
        """One request, one answer: the outputs asked for, or all that the model gives.

        Raises:
            tritonclient.utils.InferenceServerException: The server refused it, or the model failed.
        """
        answer = self.triton.infer(
            model, **make_request(self._module, inputs, outputs, parameters, timeout_s)
        )
        return _arrays(answer)

    def stream(
        self,
        model: str,
        inputs: Mapping[str, Value],
        outputs: Sequence[str] = (),
        parameters: Mapping[str, Scalar] | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[dict[str, Array]]:
        """The answers of a decoupled model as they come; gRPC only. Closing the iterator cancels the request.

        Raises:
            tritonclient.utils.InferenceServerException: The server refused it, or the model failed.
        """
        answers: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()
        self.triton.start_stream(lambda result, error: answers.put((result, error)))
        finished = False
        try:
            request = make_request(tritonclient.grpc, inputs, outputs, parameters, timeout_s)
            self.triton.async_stream_infer(model, enable_empty_final_response=True, **request)
            while not finished:
                answer, error = answers.get()
                if error is not None:
                    raise error
                finished = answer.get_response().parameters["triton_final_response"].bool_param
                if arrays := _arrays(answer):
                    yield arrays
        finally:
            self.triton.stop_stream(cancel_requests=not finished)


def generate_stream(url: str, model: str, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of HTTP's `generate_stream`; fields that are no input become parameters.

    Closing the iterator closes the connection, which is all that a client can do to cancel.

    Raises:
        RuntimeError: The server refused the request, or an event holds an error.
    """
    connection = http.client.HTTPConnection(url)
    try:
        connection.request("POST", f"/v2/models/{model}/generate_stream", json.dumps(fields))
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(answer.read().decode())
        for line in answer:
            if line.startswith(b"data:"):
                event = json.loads(line[len(b"data:") :])
                if "error" in event:
                    raise RuntimeError(event["error"])
                yield event
    finally:
        connection.close()


def make_request(
    module: ModuleType,
    inputs: Mapping[str, Value],
    outputs: Sequence[str] = (),
    parameters: Mapping[str, Scalar] | None = None,
    timeout_s: float | None = None,
) -> dict[str, Any]:
    """The keyword arguments of `infer` in tritonclient.http, tritonclient.grpc, or their aio twins."""
    return {
        "inputs": [_infer_input(module, name, value) for name, value in inputs.items()],
        "outputs": [module.InferRequestedOutput(name) for name in outputs] or None,
        "parameters": dict(parameters) if parameters else None,
        "timeout": None if timeout_s is None else round(timeout_s * 1e6),
    }


def to_array(value: Value) -> Array:
    """The tensor of a value, as the module docstring says."""
    if isinstance(value, (str, bytes)):
        return np.array([value.encode() if isinstance(value, str) else value], dtype=object)
    if isinstance(value, np.ndarray):
        return value
    return np.stack([to_array(item) for item in value])


def _infer_input(module: ModuleType, name: str, value: Value) -> Any:
    array = to_array(value)
    tensor = module.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array)
    return tensor


def _arrays(answer: Any) -> dict[str, Array]:
    """The outputs of a result, whichever protocol brought it."""
    response = answer.get_response()
    if isinstance(response, dict):
        names = [output["name"] for output in response.get("outputs", [])]
    else:
        names = [output.name for output in response.outputs]
    return {name: answer.as_numpy(name) for name in names}
