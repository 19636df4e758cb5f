"""Calls of this server's own models, through Triton's BLS."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

from corntriton.runtime.calls import Context
from corntriton.runtime.exchange import Exchange, Given
from corntriton.runtime.failures import CallError
from corntriton.runtime.replay import Task
from corntriton.runtime.settings import Target
from corntriton.runtime.spent import SpentStreams
from corntriton.runtime.values import TensorValue

_CODES = ("NOT_FOUND", "INVALID_ARG", "UNAVAILABLE", "UNSUPPORTED", "ALREADY_EXISTS", "CANCELLED")
_SEQUENCE_START, _SEQUENCE_END = 1, 2  # TRITONSERVER_REQUEST_FLAG_SEQUENCE_START and _END


class BlsWay:
    """A way to call targets; see calls.py.

    Args:
        pb_utils: Triton's module.
        exchange: For the targets.
        spent: Keeps the streams that have ended.
    """

    def __init__(self, pb_utils: Any, exchange: Exchange, spent: SpentStreams) -> None:
        self._pb_utils = pb_utils
        self._exchange = exchange
        self._spent = spent
        self._code_names = {int(getattr(pb_utils.TritonError, name)): name for name in _CODES}

    def call(self, task: Task, target: Target) -> Given:
        """Calls a unary target."""
        return self._given(self._request(task, target).exec(), target)

    def stream(self, task: Task, target: Target) -> Generator[Given, None, None]:
        """Calls a streaming target."""
        responses = self._request(task, target).exec(decoupled=True)
        # WAR (24.10): there is no cancel, and the component reads the request's life cell instead. The
        # newest servers have both; the cell can go when `cancel` also exists for unary calls.
        cancel = getattr(responses, "cancel", None)
        context: Context = task.replay.context
        on_over = context.on_over
        if cancel is not None:
            on_over[id(responses)] = cancel
            if not task.alive:  # over before it could be noted
                cancel()
        try:
            for response in responses:
                yield self._given(response, target)
        except (CallError, GeneratorExit):
            for _ in responses:  # an iterator that is not read to its end is never let go
                pass
            raise
        finally:
            on_over.pop(id(responses), None)
            self._spent.keep(responses)
            context.ask_client()

    def _request(self, task: Task, target: Target) -> Any:
        context: Context = task.replay.context
        sequence: dict[str, int] = {}
        if target.stateful and (place := self._exchange.sequence(task)) is not None:
            number, first, last = place
            flags = _SEQUENCE_START * first | _SEQUENCE_END * last
            sequence = {"correlation_id": number, "flags": flags}
        inputs = self._exchange.inputs(task, context.refs.bring)
        # WAR (24.10): no `trace`. The server frees a request's trace once execute has returned, which is
        # before most calls are made, and a call that names a freed one ends the server.
        return self._pb_utils.InferenceRequest(
            model_name=target.model_name,
            request_id=context.request_id,
            inputs=[
                value.tensor if isinstance(value, TensorValue) else self._pb_utils.Tensor(name, value)
                for name, value in inputs.items()
            ],
            requested_output_names=self._exchange.wanted(task.step),
            timeout=max(1, (context.deadline_ns - time.monotonic_ns()) // 1000),
            parameters=context.parameters,
            **sequence,
        )

    def _given(self, response: Any, target: Target) -> Given:
        if response.has_error():
            error = response.error()
            raise CallError(error.message(), self._code_names.get(int(error.code()), "INTERNAL"))
        return {tensor.name(): TensorValue(tensor, target.batched) for tensor in response.output_tensors()}
