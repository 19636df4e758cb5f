"""A closed-loop load generator in a process of its own: windows to run come in on stdin, results go out.

Requests are encoded once and answers only searched for the right payload, so that on a machine that it
shares with the server it takes as little CPU as Python can; how much it took is part of each result.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass

import grpc.aio
import numpy as np
import tritonclient.http
from tritonclient.grpc.service_pb2 import ModelInferRequest

# Counting begins when the clients that started together have drifted apart.
_WARM_UP_S = 0.3
Call = Callable[[], Awaitable[bytes]]


@dataclass(frozen=True)
class Window:
    """What to ask, how, by how many clients, for how long.

    Attributes:
        url: The server's, for this protocol.
        protocol: `http` or `grpc`.
        model: Takes FP32 `x`, gives `y`.
        shape: Of x.
        added: y is x plus this.
        clients: Each asks again as soon as it has its answer.
        duration_s: Of the counting.
    """

    url: str
    protocol: str
    model: str
    shape: list[int]
    added: float
    clients: int
    duration_s: float


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        rate_hz: Right answers per second.
        wrong: Answers that were not.
        generator_share: Of one CPU, taken by this process.
    """

    rate_hz: float
    wrong: int
    generator_share: float


async def run(window: Window) -> Result:
    """Runs one window; returns when all its requests are answered."""
    x = np.linspace(1, 2, np.prod(window.shape), dtype=np.float32).reshape(window.shape)
    payload = (x + np.float32(window.added)).tobytes()
    connect = {"http": _http, "grpc": _grpc}[window.protocol]
    async with AsyncExitStack() as stack:
        calls = [await connect(stack, window, x) for _ in range(window.clients)]
        begin_s = time.perf_counter() + _WARM_UP_S
        end_s = begin_s + window.duration_s
        right = wrong = 0

        async def ask(call: Call) -> None:
            nonlocal right, wrong
            while (now_s := time.perf_counter()) < end_s:
                is_right = payload in await call()
                wrong += not is_right
                right += is_right and now_s >= begin_s

        cpu_s = time.process_time()
        await asyncio.gather(*(ask(call) for call in calls))
        # Requests that began in the window are counted, so the time to the last answer counts too.
        elapsed_s = time.perf_counter() - begin_s
        return Result(right / elapsed_s, wrong, (time.process_time() - cpu_s) / (elapsed_s + _WARM_UP_S))


async def _grpc(stack: AsyncExitStack, window: Window, x: np.ndarray) -> Call:
    tensor = ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=x.shape)
    request = ModelInferRequest(model_name=window.model, inputs=[tensor], raw_input_contents=[x.tobytes()])
    encoded = request.SerializeToString()
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(window.url))
    call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    return lambda: call(encoded)


async def _http(stack: AsyncExitStack, window: Window, x: np.ndarray) -> Call:
    tensor = tritonclient.http.InferInput("x", x.shape, "FP32")
    tensor.set_data_from_numpy(x)
    wanted = [tritonclient.http.InferRequestedOutput("y")]
    body, header_nbytes = tritonclient.http.InferenceServerClient.generate_request_body([tensor], wanted)
    head = (
        f"POST /v2/models/{window.model}/infer HTTP/1.1\r\nHost: {window.url}\r\n"
        f"Content-Length: {len(body)}\r\nInference-Header-Content-Length: {header_nbytes}\r\n\r\n"
    )
    encoded = head.encode() + body
    reader, writer = await asyncio.open_connection(*window.url.split(":"))
    stack.callback(writer.close)

    async def call() -> bytes:
        writer.write(encoded)
        answer_head = await reader.readuntil(b"\r\n\r\n")
        lines = answer_head.lower().split(b"\r\n")
        nbytes = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        return await reader.readexactly(nbytes)

    return call


def main() -> None:
    """Answers each line on stdin, a Window in JSON, with a line that holds its Result."""
    for line in sys.stdin:
        print(json.dumps(asdict(asyncio.run(run(Window(**json.loads(line)))))), flush=True)


if __name__ == "__main__":
    main()
