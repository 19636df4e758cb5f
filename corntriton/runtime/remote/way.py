"""Calls of other servers' models, through tritonclient: the remote counterpart of bls.py."""

from __future__ import annotations

import queue
from collections.abc import AsyncIterator, Generator
from typing import Any

from grpc.aio import AioRpcError
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from corntriton.runtime.calls import Context
from corntriton.runtime.exchange import Exchange, Given
from corntriton.runtime.failures import CallError
from corntriton.runtime.remote.faults import told
from corntriton.runtime.remote.loop import outcome
from corntriton.runtime.remote.visit import Stay
from corntriton.runtime.replay import Task
from corntriton.runtime.settings import Target
from corntriton.runtime.tensors import Array
from corntriton.runtime.values import TensorValue

# The request itself ends at its deadline; this is for a server of which nothing is heard.
_GRACE_S = 5.0


class RemoteWay:
    """A way to call targets; see calls.py. Its methods block, and are not for the event loop's thread.

    Args:
        exchange: For the targets.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def call(self, task: Task, target: Target) -> Given:
        """Calls a unary target."""
        stay = self._stay(task, target)
        result = stay.run(_infer(stay, self._request(task, target, stay)))
        return _given(result, target)

    def stream(self, task: Task, target: Target) -> Generator[Given, None, None]:
        """Calls a streaming target."""
        stay = self._stay(task, target)
        request = self._request(task, target, stay)
        results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        running = stay.start(_stream(stay, request, results))
        running.add_done_callback(lambda _: results.put(None))
        try:
            while (result := results.get()) is not None:
                yield _given(result, target)
            outcome(running)
        finally:
            running.cancel()
            task.replay.context.ask_client()

    def _stay(self, task: Task, target: Target) -> Stay:
        context: Context = task.replay.context
        stay: Stay = context.visit.at(target.server)
        return stay

    def _request(self, task: Task, target: Target, stay: Stay) -> dict[str, Any]:
        """What tritonclient takes for a call."""
        inputs = self._exchange.inputs(task, stay.bring)
        if _keeps_tensors(target):
            stay.open()
        request = {
            "model_name": target.model_name,
            "inputs": [_tensor(name, value) for name, value in inputs.items()],
            "outputs": [InferRequestedOutput(name) for name in self._exchange.wanted(task.step)],
            "request_id": task.replay.context.request_id,
            "timeout": stay.timeout_us,
            "parameters": stay.parameters(),
        }
        if target.stateful and (place := self._exchange.sequence(task)) is not None:
            request.update(zip(("sequence_id", "sequence_start", "sequence_end"), place, strict=True))
        return request


def _keeps_tensors(target: Target) -> bool:
    """Whether its host has to know a request: for whose tensors come, are made, or whose errors it tells."""
    return bool(target.ref_inputs or target.ref_outputs or target.members or target.tells_errors)


async def _infer(stay: Stay, request: dict[str, Any]) -> Any:
    server = stay.server
    try:
        return await server.client.infer(**request, client_timeout=stay.timeout_us / 1e6 + _GRACE_S)
    except InferenceServerException as error:
        raise await told(server, error) from None


async def _stream(stay: Stay, request: dict[str, Any], results: queue.SimpleQueue[Any]) -> None:
    """Puts what comes into the queue."""
    server = stay.server

    async def once() -> AsyncIterator[dict[str, Any]]:
        yield request

    answers = server.client.stream_infer(once(), stream_timeout=stay.timeout_us / 1e6 + _GRACE_S)
    try:
        async for result, error in answers:
            if error is not None:
                raise CallError(error.message(), "INTERNAL")
            results.put(result)
    except AioRpcError as error:
        raise await told(server, error) from None
    finally:
        answers.cancel()


def _tensor(name: str, value: TensorValue | Array) -> Any:
    array: Array = value.tensor.as_numpy() if isinstance(value, TensorValue) else value
    tensor = InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array)
    return tensor


def _given(result: Any, target: Target) -> Given:
    names = [output.name for output in result.get_response().outputs]
    arrays = {name: result.as_numpy(name) for name in names}
    return {name: array[0] if target.batched else array for name, array in arrays.items()}
