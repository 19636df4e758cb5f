"""Triton's requests as calls, results as Triton's responses. Imports what exists in a stub only."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from corntriton.runtime.messages import Call, Failure
from corntriton.runtime.settings import ERROR_OUTPUT
from corntriton.runtime.shm.credential import PARAMETER as OWNER_PARAMETER
from corntriton.runtime.tensors import Array, read_tensors, write_tensor

DEADLINE_PARAMETER = "corntriton_deadline_ns"
# In its place from other servers, whose clocks are others: how long the call may take from its arrival on.
TIMEOUT_PARAMETER = "corntriton_timeout_us"
# A year; more would not be a time that anybody waits.
_MOST_US = 365 * 24 * 3600 * 1_000_000


def read_call(request: Any, stateful: bool) -> Call:
    """What the worker needs of a request; the arrays are views of the server's memory."""
    parameters = json.loads(request.parameters() or "{}")
    owner = parameters.get(OWNER_PARAMETER)
    return Call(
        read_tensors(request.inputs()),
        frozenset(request.requested_output_names()),
        _deadline_ns(parameters),
        None if owner is None else str(owner),
        _sequence(request) if stateful else None,
    )


def _deadline_ns(parameters: dict[str, Any]) -> int | None:
    """On this machine's clock. Any client may send these, as what it likes."""
    deadline_ns, timeout_us = parameters.get(DEADLINE_PARAMETER), parameters.get(TIMEOUT_PARAMETER)
    if isinstance(deadline_ns, int):
        return deadline_ns
    if isinstance(timeout_us, int):
        return time.monotonic_ns() + 1000 * max(0, min(timeout_us, _MOST_US))
    return None


def write_response(outputs: dict[str, Array]) -> Any:
    """A pb_utils response."""
    return pb_utils.InferenceResponse([write_tensor(name, array) for name, array in outputs.items()])


def write_failure(component: str, failure: Failure) -> Any:
    """A pb_utils response that is an error; what the client is not told goes to the log."""
    text = _log_failure(component, failure)
    return pb_utils.InferenceResponse(
        error=pb_utils.TritonError(text, getattr(pb_utils.TritonError, failure.code))
    )


def write_told_failure(component: str, failure: Failure, batched: bool) -> Any:
    """The same as the output by which an orchestrator learns of a stream's failure."""
    told = json.dumps([failure.code, _log_failure(component, failure)]).encode()
    array = np.array([[told]] if batched else [told], dtype=object)
    return pb_utils.InferenceResponse([write_tensor(ERROR_OUTPUT, array)])


def _log_failure(component: str, failure: Failure) -> str:
    text = f"component {component}: {failure.text}"
    if failure.trace:
        pb_utils.Logger.log_error(f"{text}\n{failure.trace}")
    return text


def _sequence(request: Any) -> tuple[int | str, bool, bool]:
    flags = request.flags()
    first = bool(flags & pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START)
    last = bool(flags & pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END)
    return request.correlation_id(), first, last
