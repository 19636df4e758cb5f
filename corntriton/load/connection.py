"""Carries requests to a server, many at a time, and notes when what came back: gRPC on asyncio."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import grpc
import grpc.aio
from tritonclient.grpc.service_pb2 import (
    ModelInferResponse,
    ModelStatisticsRequest,
    ModelStatisticsResponse,
    ModelStreamInferResponse,
)

from corntriton.errors import CorntritonError
from corntriton.load.request import Request

_SERVICE = "/inference.GRPCInferenceService"
# One HTTP/2 connection carries its requests through one thread of the server.
_CHANNELS = 4
_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True)
class Answer:
    """What came of a request; times are those of time.perf_counter.

    Attributes:
        sent_s: When it was sent.
        first_s: When the first piece of its answer was there.
        done_s: When the answer was complete, or had failed.
        pieces: Responses that held outputs.
        error: What failed, as `CODE: message`; empty for a good answer.
        outputs: Bytes of each output, all pieces together.
    """

    sent_s: float
    first_s: float
    done_s: float
    pieces: int
    error: str
    outputs: dict[str, int]


class Connection:
    """To one server; for use by one event loop.

    Args:
        address: `host:port`.
        timeout_s: Ends a request.
    """

    def __init__(self, address: str, timeout_s: float = 600.0) -> None:
        self._channels = [grpc.aio.insecure_channel(address, options=_OPTIONS) for _ in range(_CHANNELS)]
        self._timeout_s = timeout_s
        self._sent = 0

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for channel in self._channels:
            await channel.close()

    async def call(self, request: Request) -> Answer:
        """Sends a request and waits for all of its answer."""
        self._sent += 1
        channel = self._channels[self._sent % _CHANNELS]
        outputs: dict[str, int] = {}
        error, first_s, pieces = "", 0.0, 0
        sent_s = time.perf_counter()
        try:
            async for response in self._responses(channel, request):
                if response.outputs:
                    pieces += 1
                    first_s = first_s or time.perf_counter()
                    for output, raw in zip(response.outputs, response.raw_output_contents, strict=False):
                        outputs[output.name] = outputs.get(output.name, 0) + len(raw)
        except grpc.aio.AioRpcError as failure:
            error = f"{failure.code().name}: {failure.details()}"
        except _StreamError as failure:
            error = str(failure)
        done_s = time.perf_counter()
        return Answer(sent_s, first_s or done_s, done_s, pieces, error, outputs)

    async def responses(self, request: Request) -> list[Any]:
        """All responses, each a ModelInferResponse, for whoever wants to read them.

        Raises:
            CorntritonError: The server refused the request, or the model failed.
        """
        try:
            return [response async for response in self._responses(self._channels[0], request)]
        except grpc.aio.AioRpcError as failure:
            raise CorntritonError(f"{failure.code().name}: {failure.details()}") from None
        except _StreamError as failure:
            raise CorntritonError(str(failure)) from None

    async def statistics(self, model: str) -> Any:
        """Triton's counters of a model, a ModelStatistics."""
        call = self._channels[0].unary_unary(f"{_SERVICE}/ModelStatistics")
        raw = await call(ModelStatisticsRequest(name=model).SerializeToString(), timeout=self._timeout_s)
        return ModelStatisticsResponse.FromString(raw).model_stats[0]

    async def _responses(self, channel: grpc.aio.Channel, request: Request) -> AsyncIterator[Any]:
        if not request.streams:
            call = channel.unary_unary(f"{_SERVICE}/ModelInfer")
            yield ModelInferResponse.FromString(await call(request.body, timeout=self._timeout_s))
            return
        stream = channel.stream_stream(f"{_SERVICE}/ModelStreamInfer")(timeout=self._timeout_s)
        await stream.write(request.body)
        await stream.done_writing()
        async for raw in stream:
            message = ModelStreamInferResponse.FromString(raw)
            if message.error_message:
                raise _StreamError(f"STREAM: {message.error_message}")
            yield message.infer_response


class _StreamError(Exception):
    """A stream brought an error instead of a response."""
