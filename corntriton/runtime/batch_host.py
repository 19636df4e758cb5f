"""Serves a component that answers each request once: one call of the worker per execute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corntriton.runtime.bridge import Bridge
from corntriton.runtime.keeper import Died, Keeper
from corntriton.runtime.messages import PROCESS_ENDED, Batch, Call, Failure
from corntriton.runtime.requests import read_call, write_failure, write_response
from corntriton.runtime.settings import ComponentSettings
from corntriton.runtime.tensors import Array
from corntriton.runtime.watchdog import PERIOD_S, why_hung


class BatchHost:
    """Answers batches of requests through the worker that `keeper` keeps."""

    def __init__(self, settings: ComponentSettings, keeper: Keeper) -> None:
        self._settings = settings
        self._keeper = keeper
        self._bridge = Bridge(settings)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """The response to each request."""
        calls = [read_call(request, self._settings.stateful) for request in requests]
        crossings = [self._bridge.cross(call) for call in calls]
        results = self._compute(requests, [crossing.call for crossing in crossings])
        return [
            self._response(self._bridge.land(*one)) for one in zip(calls, crossings, results, strict=True)
        ]

    def stop(self) -> None:
        """Ends the worker."""
        self._keeper.stop()
        self._bridge.close()

    def _response(self, result: dict[str, Array] | Failure) -> Any:
        if isinstance(result, Failure):
            return write_failure(self._settings.name, result)
        return write_response(result)

    def _compute(self, requests: Sequence[Any], calls: list[Call]) -> Sequence[dict[str, Array] | Failure]:
        why_not = self._await_loaded(calls)
        if why_not is not None:
            return [why_not] * len(calls)
        worker = self._keeper.worker
        worker.flags[: len(calls)] = bytes(len(calls))
        worker.send(Batch(calls))
        while (message := self._keeper.step(PERIOD_S)) is None:
            self._look_after(requests, calls)
        if isinstance(message, Died):
            return [Failure("UNAVAILABLE", f"{PROCESS_ENDED} ({message.how})")] * len(calls)
        results: list[dict[str, Array] | Failure] = message.results
        return results

    def _await_loaded(self, calls: Sequence[Call]) -> Failure | None:
        self._keeper.step(0.0)  # notices a worker that died since the last batch
        while not self._keeper.loaded.is_set():
            refusal = self._keeper.refusal(calls)
            if refusal is not None:
                return refusal
            self._keeper.step(PERIOD_S)
        return None

    def _look_after(self, requests: Sequence[Any], calls: Sequence[Call]) -> None:
        worker = self._keeper.worker
        for slot, request in enumerate(requests):
            if request.is_cancelled():
                worker.flags[slot] = 1
        reason = why_hung(calls, self._settings.watchdog_s)
        if reason is not None:
            worker.end(reason)
