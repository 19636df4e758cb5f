"""A closed-loop load generator in a process of its own: windows to run come in on stdin, results go out.

Requests are encoded once and answers only searched for the right payload, so that on a machine that it
shares with the server it takes as little CPU as Python can; how much it took is part of each result.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import grpc.aio
import numpy as np
import tritonclient.http
from tritonclient.grpc.service_pb2 import ModelInferRequest
from tritonclient.utils import np_to_triton_dtype

from corntriton.runtime.tensors import NUMPY_DTYPES, Array

# Counting begins when the clients that started together have drifted apart.
_WARM_UP_S = 0.3
Call = Callable[[bytes], Awaitable[bytes]]


@dataclass(frozen=True)
class Tensor:
    """A tensor of a request.

    Attributes:
        name: The input's.
        dtype: As the protocol names it.
        shape: Of the tensor.
        data: Its memory, in hexadecimal digits.
    """

    name: str
    dtype: str
    shape: list[int]
    data: str

    @classmethod
    def of(cls, name: str, array: Array) -> Tensor:
        """The array as a tensor."""
        return cls(name, np_to_triton_dtype(array.dtype), [*array.shape], array.tobytes().hex())


@dataclass(frozen=True)
class Ask:
    """A request, and what makes an answer the right one.

    Attributes:
        inputs: Its tensors.
        output: The output that is asked for.
        answer: That output's memory, in hexadecimal digits.
    """

    inputs: list[Tensor]
    output: str
    answer: str


@dataclass(frozen=True)
class Window:
    """What to ask, how, by how many clients, for how long.

    Attributes:
        url: The server's, for this protocol.
        protocol: `http` or `grpc`.
        model: The Triton model.
        asks: The clients ask these in turn.
        clients: Each asks again as soon as it has its answer.
        duration_s: Of the counting.
        n_least: The window is longer where fewer answers than these came in.
    """

    url: str
    protocol: str
    model: str
    asks: list[Ask]
    clients: int
    duration_s: float
    n_least: int = 1

    @classmethod
    def parse(cls, line: str) -> Window:
        """What `asdict` of a window looks like in JSON."""
        fields = json.loads(line)
        asks = [Ask([Tensor(**each) for each in ask.pop("inputs")], **ask) for ask in fields.pop("asks")]
        return cls(asks=asks, **fields)


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        rate_hz: Right answers per second.
        p50_s: Until a right answer came, the median.
        wrong: Answers that were not.
        generator_share: Of one CPU, taken by this process.
    """

    rate_hz: float
    p50_s: float
    wrong: int
    generator_share: float


Measure = Callable[[Window], Result]


@contextmanager
def generator() -> Iterator[Measure]:
    """Starts this file as a process, and gives what has it run a window."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, __file__], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        to, from_ = process.stdin, process.stdout

        def measure(window: Window) -> Result:
            print(json.dumps(asdict(window)), file=to, flush=True)
            return Result(**json.loads(from_.readline()))

        yield measure
        to.close()


async def run(window: Window) -> Result:
    """Runs one window; returns when all its requests are answered."""
    encode, connect = {"http": (_encode_http, _http), "grpc": (_encode_grpc, _grpc)}[window.protocol]
    asks = itertools.cycle([(encode(window, ask), bytes.fromhex(ask.answer)) for ask in window.asks])
    async with AsyncExitStack() as stack:
        calls = [await connect(stack, window) for _ in range(window.clients)]
        begin_s = time.perf_counter() + _WARM_UP_S
        end_s = begin_s + window.duration_s
        wrong, times_s = 0, []

        async def ask(call: Call) -> None:
            nonlocal wrong
            while (now_s := time.perf_counter()) < end_s or len(times_s) < window.n_least:
                request, payload = next(asks)
                is_right = payload in await call(request)
                wrong += not is_right
                if is_right and now_s >= begin_s:
                    times_s.append(time.perf_counter() - now_s)
                if wrong > window.n_least:  # whatever is wrong is so for good
                    return

        cpu_s = time.process_time()
        await asyncio.gather(*(ask(call) for call in calls))
        # Requests that began in the window are counted, so the time to the last answer counts too.
        elapsed_s = time.perf_counter() - begin_s
        share = (time.process_time() - cpu_s) / (elapsed_s + _WARM_UP_S)
        return Result(len(times_s) / elapsed_s, statistics.median(times_s or [0.0]), wrong, share)


def _encode_grpc(window: Window, ask: Ask) -> bytes:
    tensors = [
        ModelInferRequest.InferInputTensor(name=tensor.name, datatype=tensor.dtype, shape=tensor.shape)
        for tensor in ask.inputs
    ]
    encoded: bytes = ModelInferRequest(
        model_name=window.model,
        inputs=tensors,
        outputs=[ModelInferRequest.InferRequestedOutputTensor(name=ask.output)],
        raw_input_contents=[bytes.fromhex(tensor.data) for tensor in ask.inputs],
    ).SerializeToString()
    return encoded


async def _grpc(stack: AsyncExitStack, window: Window) -> Call:
    # Clients would share one connection otherwise.
    options = [("grpc.use_local_subchannel_pool", 1)]
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(window.url, options))
    call: Any = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    return call  # type: ignore[no-any-return]


def _encode_http(window: Window, ask: Ask) -> bytes:
    tensors = []
    for tensor in ask.inputs:
        array = np.frombuffer(bytes.fromhex(tensor.data), NUMPY_DTYPES[tensor.dtype]).reshape(tensor.shape)
        tensors.append(tritonclient.http.InferInput(tensor.name, tensor.shape, tensor.dtype))
        tensors[-1].set_data_from_numpy(array)
    wanted = [tritonclient.http.InferRequestedOutput(ask.output)]
    body, header_nbytes = tritonclient.http.InferenceServerClient.generate_request_body(tensors, wanted)
    head = (
        f"POST /v2/models/{window.model}/infer HTTP/1.1\r\nHost: {window.url}\r\n"
        f"Content-Length: {len(body)}\r\nInference-Header-Content-Length: {header_nbytes}\r\n\r\n"
    )
    return head.encode() + bytes(body)


async def _http(stack: AsyncExitStack, window: Window) -> Call:
    reader, writer = await asyncio.open_connection(*window.url.split(":"))
    stack.callback(writer.close)

    async def call(encoded: bytes) -> bytes:
        writer.write(encoded)
        answer_head = await reader.readuntil(b"\r\n\r\n")
        lines = answer_head.lower().split(b"\r\n")
        nbytes = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        return await reader.readexactly(nbytes)

    return call


def main() -> None:
    """Answers each line on stdin, a Window in JSON, with a line that holds its Result."""
    for line in sys.stdin:
        print(json.dumps(asdict(asyncio.run(run(Window.parse(line))))), flush=True)


if __name__ == "__main__":
    main()
