"""A server that answers as the transfer model does, in this process, and does what a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc import service_pb2_grpc as services

from corntriton.runtime.shm.errors import InvalidRefError
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.ref import REF_BYTES

PATIENCE_S = 20


class FarServer(services.GRPCInferenceServiceServicer):
    """One server.

    Attributes:
        ready: What it says when it is asked.
        lends: It gives leases in advance.
        calls: What its transfer model was asked for, in order.
        hanging: It answers nothing before this is set; set at the start.
        given_up: Callers that left before they had an answer.
    """

    def __init__(
        self, node: tuple[int, int] = (1, 2), port: int = 0, memory: SharedMemory | None = None
    ) -> None:
        self.node = node
        self.ready, self.lends = True, False
        self.calls: list[dict[str, Any]] = []
        self.hanging = threading.Event()
        self.hanging.set()
        self.given_up = threading.Semaphore(0)
        self._memory = memory
        self._n_leases = 0
        self._server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        services.add_GRPCInferenceServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self._server.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def asked(self, op: str) -> list[dict[str, Any]]:
        return [call for call in [*self.calls] if call["op"] == op]

    def close(self) -> None:
        self.hanging.set()
        self._server.stop(0).wait()

    def ServerReady(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        return messages.ServerReadyResponse(ready=self.ready)

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        call = json.loads(request.raw_input_contents[0][4:])
        refs = request.raw_input_contents[1] if len(request.raw_input_contents) > 1 else b""
        call["refs"] = [refs[at : at + REF_BYTES] for at in range(0, len(refs), REF_BYTES)]
        self.calls.append(call)
        if call["op"] != "who" and not self.hanging.is_set():
            context.add_callback(self.given_up.release)
            self.hanging.wait(PATIENCE_S)
        try:
            return _response(*self._answer(call))
        except InvalidRefError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"corntriton_transfer: {error}")

    def _answer(self, call: dict[str, Any]) -> tuple[dict[str, Any], Sequence[bytes]]:
        if call["op"] == "who":
            return {"node": self.node, "role": "far", "transports": ["grpc"]}, ()
        if call["op"] == "bring":
            self._n_leases += call["owner"] is None
            owner = call["owner"] or f"lease-{self._n_leases}"
            return {"owner": owner}, [ref[::-1] for ref in call["refs"]]
        if call["op"] == "read":
            whole = self._memory.reader.read_bytes(call["refs"][0])
            return {}, [whole[call["begin"] :][: call["nbytes"]].tobytes()]
        if call["op"] == "lend":
            numbers = range(self._n_leases + 1, self._n_leases + 1 + call["count"] * self.lends)
            self._n_leases += len(numbers)
            return {"owners": [f"lease-{number}" for number in numbers]}, ()
        return {}, ()


def _response(result: dict[str, Any], refs: Sequence[bytes]) -> Any:
    response = messages.ModelInferResponse(model_name="corntriton_transfer")
    data, told = b"".join(refs), json.dumps(result).encode()
    response.outputs.add(name="result", datatype="BYTES", shape=[1])
    response.outputs.add(name="data", datatype="UINT8", shape=[len(data)])
    response.raw_output_contents.append(np.uint32(len(told)).tobytes() + told)
    response.raw_output_contents.append(data)
    return response
