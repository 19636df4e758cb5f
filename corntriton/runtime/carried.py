"""A request that the orchestrator carries: from its arrival to the one final answer that it gets."""

from __future__ import annotations

import threading
import time
from typing import Any, Protocol

from corntriton.record.facts import Facts
from corntriton.runtime.calls import Context
from corntriton.runtime.compiled import Step
from corntriton.runtime.failures import (
    ClientLeftError,
    DeadlineError,
    ServerLostError,
    as_failure,
    message,
)
from corntriton.runtime.replay import Outputs, Replay
from corntriton.runtime.spent import SpentStreams

FINAL = 1  # TRITONSERVER_RESPONSE_COMPLETE_FINAL


class Home(Protocol):
    """What a carried request needs of its orchestrator."""

    pb_utils: Any
    model_name: str
    streams: bool

    spent: SpentStreams

    def tensors(self, outputs: Outputs, wanted: frozenset[str]) -> list[Any]:
        """The wanted ones of the model's outputs as tensors of the server."""

    def begin_again(self, request: CarriedRequest) -> bool:
        """A server that worked for it was lost: begins it anew elsewhere, or says that it will not."""

    def left(self, request: CarriedRequest, outcome: str) -> None:
        """The request has had its final answer."""


class CarriedRequest:
    """One request: the sink of its replay, watched by the sweeper.

    Attributes:
        context: What its calls carry along.
        wanted: The outputs that the client asked for; none until that is known.
        path: The path's name; None until it is known.
        facts: What the path was found by; None until then.
        replay: Its replay, from its beginning to its end.
        told: Pieces of its answer have been sent.
        is_second: It was begun anew, as a server was lost.
        over: It has had its final answer.
    """

    def __init__(self, home: Home, sender: Any, context: Context) -> None:
        self.context = context
        self.deadline_ns = context.deadline_ns
        self.wanted: frozenset[str] = frozenset()
        self.path: str | None = None
        self.facts: Facts | None = None
        self.replay: Replay | None = None
        self.told, self.is_second = False, False
        self.over = False
        self.streams = home.streams
        self.begin_s = time.perf_counter()
        self._home = home
        self._sender = sender
        self._lock = threading.Lock()
        context.ask_client = self.ask_client

    def news(self, outputs: Outputs) -> None:
        """Sends pieces of a streamed answer."""
        tensors = self._home.tensors(outputs, self.wanted)
        if not tensors:
            return
        response = self._home.pb_utils.InferenceResponse(tensors)
        with self._lock:
            if not self.over:
                self.told = True
                self._sender.send(response)

    def done(self, outputs: Outputs) -> None:
        """Sends the whole answer, or the end of a streamed one."""
        try:
            tensors = self._home.tensors(outputs, self.wanted)
        except Exception as error:
            self.failed(None, error)
            return
        # A decoupled model may end with nothing but the flag; the other policy owes one response.
        response = self._home.pb_utils.InferenceResponse(tensors) if tensors or not self.streams else None
        self._end(response, "ok")

    def failed(self, step: Step | None, error: BaseException) -> None:
        """Sends an error, unless the request begins anew."""
        if isinstance(error, ServerLostError) and self._home.begin_again(self):
            return
        pb_utils, failure = self._home.pb_utils, as_failure(error)
        text = message(self._home.model_name, self.path, step, failure)
        triton_error = pb_utils.TritonError(text, getattr(pb_utils.TritonError, failure.code))
        self._end(pb_utils.InferenceResponse(output_tensors=[], error=triton_error), failure.outcome)

    def end(self, error: Exception) -> None:
        """Ends the request from outside, wherever it is."""
        replay = self.replay
        if replay is None or not replay.fail(None, error):
            self.failed(None, error)

    def expire(self) -> None:
        """Its deadline has come."""
        after_s, replay = time.perf_counter() - self.begin_s, self.replay
        waiting = " and ".join(sorted(replay.under_way.copy())) if replay is not None else ""
        what = f", waiting for component {waiting}" if waiting else ""
        self.end(DeadlineError(f"the deadline passed {after_s:.3g} s after the request came{what}"))

    def ask_client(self) -> None:
        """Looks whether the client has left."""
        with self._lock:  # the server forgets the request with the final answer: never ask after that
            left = not self.over and self._home.spent.ask(self._sender.is_cancelled)
        if left:
            self.end(ClientLeftError("cancelled by the client"))

    def _end(self, response: Any, outcome: str) -> None:
        with self._lock:
            if self.over:
                return
            self.over = True
            sender, self._sender = self._sender, None
            # What the sweeper still holds of it must not keep tensors alive.
            self.replay = None
        try:
            if response is None:
                sender.send(flags=FINAL)
            else:
                sender.send(response, flags=FINAL)
        finally:
            self._home.left(self, outcome)
            for cancel in [*self.context.on_over.values()]:
                cancel()
