"""Asks a cluster as any client would, through the balancer: unary and streaming gRPC, and HTTP."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

import aiohttp
import grpc.aio
import numpy as np
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

from cluster.balancer import HEADER
from cluster.servers import Front
from corntriton.serving.client import Array, make_request

# HTTP/2's REFUSED_STREAM, which clients may answer by asking again. HAProxy 2.6.12 does that to one stream in
# some thousands, without a trace in its log, and also when the server has answered.
_REFUSED, _MOST_REFUSALS = "RST_STREAM with error code 7", 3
Way = Literal["http", "grpc", "grpc stream"]


@dataclass(frozen=True)
class Query:
    """What is asked.

    Attributes:
        model: Its unary model; streams go to `<model>_stream`.
        inputs: As corntriton.serving.client takes them.
        outputs: Those asked for.
        parameters: Of the request.
        way: How it is sent.
        timeout_s: The request's own, if any.
    """

    model: str
    inputs: Mapping[str, Any]
    outputs: Sequence[str]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    way: Way = "grpc"
    timeout_s: float | None = None


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        name: Of the request, as in the balancer's log.
        outputs: Arrays; of a stream, its pieces joined. Empty where it failed.
        error: What failed; empty where nothing did.
    """

    name: str
    outputs: Mapping[str, Array]
    error: str = ""


class Asker:
    """Clients of the balancer; for one event loop, as an async context.

    Attributes:
        refusals: How often the balancer refused a stream, and was asked again.
    """

    def __init__(self, front: Front) -> None:
        self.refusals = 0
        self._grpc = tritonclient.grpc.aio.InferenceServerClient(front.grpc_url)
        self._http = tritonclient.http.aio.InferenceServerClient(front.http_url, conn_timeout=600)
        self._numbers = itertools.count()

    async def __aenter__(self) -> Asker:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._grpc.close()
        await self._http.close()

    def nothing(self, error: str) -> Reply:
        """Of a request whose name is no longer known."""
        return Reply("", {}, error)

    async def ask(self, query: Query) -> Reply:
        """Sends it; failures are replies too. Cancelling this cancels the request."""
        for _ in range(_MOST_REFUSALS):
            reply = await self._ask_once(query)
            if _REFUSED not in reply.error:
                break
            self.refusals += 1
        return reply

    async def _ask_once(self, query: Query) -> Reply:
        name = f"{os.getpid()}-{next(self._numbers)}"
        try:
            return Reply(name, await self._send(query, {HEADER: name}))
        except InferenceServerException as error:
            return Reply(name, {}, f"{error.status() or ''} {error.message()}".strip())
        except (OSError, asyncio.TimeoutError, aiohttp.ClientError) as error:
            return Reply(name, {}, f"{type(error).__name__}: {error}")

    async def _send(self, query: Query, headers: dict[str, str]) -> dict[str, Array]:
        if query.way == "grpc stream":
            return await self._stream(query, headers)
        client, module = {
            "grpc": (self._grpc, tritonclient.grpc.aio),
            "http": (self._http, tritonclient.http.aio),
        }[query.way]
        request = make_request(module, query.inputs, query.outputs, query.parameters, query.timeout_s)
        answer = await client.infer(query.model, headers=headers, **request)
        return {name: answer.as_numpy(name) for name in query.outputs}

    async def _stream(self, query: Query, headers: dict[str, str]) -> dict[str, Array]:
        request = make_request(
            tritonclient.grpc.aio, query.inputs, query.outputs, query.parameters, query.timeout_s
        )

        async def once() -> AsyncIterator[dict[str, Any]]:
            yield {"model_name": f"{query.model}_stream", **request}

        pieces: dict[str, list[Array]] = {name: [] for name in query.outputs}
        try:
            async for answer, error in self._grpc.stream_infer(once(), headers=headers):
                if error is not None:
                    raise error
                for output in answer.get_response().outputs:
                    pieces[output.name].append(answer.as_numpy(output.name))
        except grpc.aio.AioRpcError as error:  # of streams, tritonclient leaves it as it is
            raise InferenceServerException(error.details(), f"StatusCode.{error.code().name}") from None
        return {name: _joined(each) for name, each in pieces.items()}


def _joined(pieces: list[Array]) -> Array:
    if not pieces:
        return np.array([])  # no answer is this one
    if pieces[0].dtype == np.object_:
        return np.array([b"".join(piece.item() for piece in pieces)], np.object_)
    return np.concatenate(pieces)
