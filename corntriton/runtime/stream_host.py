"""Serves a streaming component: starts a stream per request, passes its chunks on as they come."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import triton_python_backend_utils as pb_utils

from corntriton.runtime.keeper import Died, Keeper
from corntriton.runtime.messages import PROCESS_ENDED, Call, Chunk, End, Failure, Start
from corntriton.runtime.requests import read_call, write_failure, write_response, write_told_failure
from corntriton.runtime.settings import ERROR_OUTPUT, ComponentSettings, ExecutorSettings
from corntriton.runtime.tensors import Array
from corntriton.runtime.watchdog import PERIOD_S, why_hung

# What may leave together with the end of its stream, as one message in place of two.
#
# WAR (24.10): it is more than a saving. The second of two responses that come close together is one of the
# three things that have to meet for a stub to stop for ever; see remote/loopback.py.
_SMALL_BYTES = 64 * 1024


class _Open(NamedTuple):
    """A stream under way."""

    call: Call
    sender: Any


class StreamHost:
    """Streams through the worker that `keeper` keeps; as many at once as a batch may have rows.

    Triton's thread starts streams in `execute`; a thread of our own takes what the worker sends.
    """

    def __init__(self, settings: ComponentSettings | ExecutorSettings, keeper: Keeper) -> None:
        self._settings = settings
        self._keeper = keeper
        self._open: dict[int, _Open] = {}
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(settings.slots):
            self._free.put(slot)
        # Held while a stream begins and while those of a dead worker end, so that none falls between.
        self._beginning = threading.Lock()
        self._looked_after_s = 0.0
        self._stopping = False
        self._pump = threading.Thread(target=self._run, name="pump", daemon=True)
        self._pump.start()

    def execute(self, requests: Sequence[Any]) -> None:
        """Starts a stream per request; waits for a free slot, so that the others stay in Triton's queue."""
        for request in requests:
            stream = _Open(read_call(request, self._settings.stateful), request.get_response_sender())
            slot = self._free.get()
            why_not = self._begin(slot, stream)
            if why_not is not None:
                self._free.put(slot)
                self._finish(stream, why_not)

    def stop(self) -> None:
        """Ends the worker; Triton calls it when no stream is open any more."""
        self._stopping = True
        self._pump.join()
        self._keeper.stop()

    def _begin(self, slot: int, stream: _Open) -> Failure | None:
        """Sends the stream to the worker once that is loaded, or says why not."""
        while True:
            with self._beginning:
                worker = self._keeper.worker
                if self._keeper.loaded.is_set() and not worker.ended:
                    worker.flags[slot] = 0
                    self._open[slot] = stream
                    worker.send(Start(slot, stream.call))
                    return None
            refusal = self._keeper.refusal([stream.call])
            if refusal is not None:
                return refusal
            time.sleep(PERIOD_S)

    def _run(self) -> None:
        while not self._stopping:
            message = self._keeper.step(PERIOD_S)
            if isinstance(message, Chunk):
                self._pass_on(message)
            elif isinstance(message, End):
                self._end(message.slot, message.failure, message.outputs)
            elif isinstance(message, Died):
                self._end_all(Failure("UNAVAILABLE", f"{PROCESS_ENDED} ({message.how})"))
            if time.monotonic() - self._looked_after_s > PERIOD_S:
                self._look_after()

    def _pass_on(self, chunk: Chunk) -> None:
        try:
            self._open[chunk.slot].sender.send(write_response(chunk.outputs))
        except pb_utils.TritonModelException as error:  # nobody listens any more
            pb_utils.Logger.log_verbose(f"component {self._settings.name}: {error}")
            self._keeper.worker.flags[chunk.slot] = 1

    def _end(self, slot: int, failure: Failure | None, outputs: dict[str, Array] | None = None) -> None:
        if outputs and sum(array.nbytes for array in outputs.values()) > _SMALL_BYTES:
            # Apart: where the server has no memory for them, the end has to come all the same.
            self._pass_on(Chunk(slot, outputs))
            outputs = None
        stream = self._open.pop(slot)
        self._free.put(slot)
        self._finish(stream, failure, outputs)

    def _end_all(self, failure: Failure) -> None:
        with self._beginning:
            for slot in list(self._open):
                self._end(slot, failure)

    def _finish(
        self, stream: _Open, failure: Failure | None, outputs: dict[str, Array] | None = None
    ) -> None:
        sender, final = stream.sender, pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
        # An error response to a client that is leaving makes tritonserver 2.51 keep the request for ever.
        if failure is None or failure.code == "CANCELLED":
            sender.send(write_response(outputs) if outputs else None, flags=final)
        elif ERROR_OUTPUT in stream.call.wanted and stream.call.owner is not None:  # an orchestrator asks
            batched = self._settings.max_batch_size > 0
            sender.send(write_told_failure(self._settings.name, failure, batched), flags=final)
        else:
            sender.send(write_failure(self._settings.name, failure), flags=final)

    def _look_after(self) -> None:
        self._looked_after_s = time.monotonic()
        worker, streams = self._keeper.worker, dict(self._open)
        for slot, stream in streams.items():
            if stream.sender.is_cancelled():
                worker.flags[slot] = 1
        reason = why_hung([stream.call for stream in streams.values()], self._settings.watchdog_s)
        if reason is not None:
            worker.end(reason)
