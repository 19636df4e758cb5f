"""The transfer model inside Triton: requests go in, answers leave through their response senders.

execute ──> read: a worker thread, straight from the arena where the tensor lies
        └─> all others: one event loop, which owns the leases and pulls
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path as File
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from corntriton.runtime.failures import BadRequestError, ClientLeftError, RequestError, as_failure
from corntriton.runtime.numpy_check import numpy_problem
from corntriton.runtime.remote.addresses import endpoints_from_environment
from corntriton.runtime.shm.errors import InvalidOwnerError, InvalidRefError
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.tensors import Array
from corntriton.runtime.threads import Workers
from corntriton.runtime.transfer.direct import DirectReader
from corntriton.runtime.transfer.exports import Exports
from corntriton.runtime.transfer.faults import PREFIX
from corntriton.runtime.transfer.leases import Leases
from corntriton.runtime.transfer.nixl import Agent, NixlError, find_nixl
from corntriton.runtime.transfer.nodes import Nodes
from corntriton.runtime.transfer.operations import Operations, split
from corntriton.runtime.transfer.puller import Puller
from corntriton.runtime.transfer.settings import MODEL, TransferSettings

# Tensors at once, of all requests of all other servers.
_N_SLOTS = 8192
# Each copies a chunk into the server's memory, for which it needs a core.
_THREADS = 8
_LOOK_S = 0.25
_CLOSE_S = 10.0
_NOTHING = np.empty(0, np.uint8)


class TransferModel:
    """A TritonPythonModel; the shim says which folder it is for."""

    folder: File

    def initialize(self, args: Mapping[str, str]) -> None:
        """Makes the arena and begins to take calls.

        Raises:
            pb_utils.TritonModelException: It cannot work here.
        """
        problem = numpy_problem()
        if problem is not None:
            raise pb_utils.TritonModelException(f"{MODEL}: {problem}")
        settings = TransferSettings.load(self.folder / "transfer.json")
        self._memory = SharedMemory(settings.arena_bytes, settings.max_leases, _N_SLOTS)
        self._workers = Workers(MODEL, _THREADS)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=MODEL, daemon=True)
        self._thread.start()
        self._nodes = Nodes(endpoints_from_environment())
        self._pulled = _PulledBytes()
        self._run(self._begin(settings))

    def execute(self, requests: Sequence[Any]) -> None:
        """Takes the calls; all answers come through their response senders."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                call, refs = _read_call(request)
            except Exception as error:
                _refuse(sender, error)
                continue
            if call.get("op") == "read":
                self._workers.submit(_Reading(self._operations, call, refs, sender))
            else:
                asyncio.run_coroutine_threadsafe(self._answer(call, refs, sender), self._loop)

    def finalize(self) -> None:
        """Ends all leases."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_S)
        self._workers.close()
        self._memory.close()

    def _run(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_CLOSE_S)

    async def _begin(self, settings: TransferSettings) -> None:
        self._nixl = _nixl(self._memory)
        exports, direct = self._nixl or (None, None)
        puller = Puller(self._memory, self._nodes, self._pulled, direct)
        self._leases = Leases(self._memory, puller, settings.lease_s)
        self._operations = Operations(self._memory, self._leases, settings.role, exports)
        self._going_on = [asyncio.ensure_future(self._expire())]
        if exports is not None:
            self._going_on.append(asyncio.ensure_future(exports.serve()))

    async def _end(self) -> None:
        self._leases.close()
        if self._nixl is not None:
            await self._nixl[1].close()
        for task in self._going_on:
            task.cancel()
        await asyncio.wait(self._going_on)
        await self._nodes.close()

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            self._leases.expire()

    async def _answer(self, call: Mapping[str, Any], refs: Sequence[bytes], sender: Any) -> None:
        work = asyncio.ensure_future(self._operations.run(call, refs))
        while not (await asyncio.wait({work}, timeout=_LOOK_S))[0]:
            if sender.is_cancelled():
                work.cancel()
        try:
            result, brought = work.result()
        except (Exception, asyncio.CancelledError) as error:
            _refuse(sender, error)
            return
        _send(sender, result, np.frombuffer(b"".join(brought), np.uint8))


def _nixl(memory: SharedMemory) -> tuple[Exports, DirectReader] | None:
    """What gives and takes tensors by NIXL, where that can be used; the log says whether."""
    try:
        agent = Agent(find_nixl())
        both = Exports(agent, memory), DirectReader(agent, memory, _log)
    except NixlError as error:
        _log(f"tensors cross servers over gRPC, not by NIXL: {error}")
        return None
    _log("tensors cross servers by NIXL where both of them can use it")
    return both


def _log(text: str) -> None:
    pb_utils.Logger.log_info(f"{PREFIX}{text}")


class _Reading:
    """A call of `read`, for a worker thread."""

    def __init__(self, *call: Any) -> None:
        self._call = call

    def __call__(self) -> None:
        operations, call, refs, sender = self._call
        try:
            _send(sender, {}, operations.read(call, refs))
        except Exception as error:
            _refuse(sender, error)


class _PulledBytes:
    """The metric of what came from where."""

    def __init__(self) -> None:
        name, about = "corntriton_pulled_bytes_total", "Bytes of tensors pulled from other servers"
        self._family = pb_utils.MetricFamily(name=name, description=about, kind=pb_utils.MetricFamily.COUNTER)
        self._metrics: dict[str, Any] = {}

    def __call__(self, address: str, nbytes: int) -> None:
        if address not in self._metrics:
            self._metrics[address] = self._family.Metric(labels={"from": address})
        self._metrics[address].increment(nbytes)


def _read_call(request: Any) -> tuple[Mapping[str, Any], list[bytes]]:
    inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
    try:
        call = json.loads(inputs["call"].flat[0])
    except (ValueError, IndexError):
        raise BadRequestError("call has to be JSON") from None
    if not isinstance(call, dict):
        raise BadRequestError("call has to be an object")
    return call, split(inputs.get("refs", _NOTHING))


def _send(sender: Any, result: Mapping[str, Any], data: Array) -> None:
    told = np.array([json.dumps(result).encode()], np.object_)
    tensors = [pb_utils.Tensor("result", told), pb_utils.Tensor("data", data)]
    sender.send(pb_utils.InferenceResponse(tensors), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


def _refuse(sender: Any, error: BaseException) -> None:
    failure = _failure(error)
    told = pb_utils.TritonError(f"{PREFIX}{failure}", getattr(pb_utils.TritonError, failure.code))
    response = pb_utils.InferenceResponse(output_tensors=[], error=told)
    sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


def _failure(error: BaseException) -> RequestError:
    if isinstance(error, (InvalidRefError, InvalidOwnerError)):
        return BadRequestError(str(error))
    if isinstance(error, asyncio.CancelledError):
        return ClientLeftError("its caller does not wait for it any more")
    return as_failure(error)
