"""Two ways to load a contestant of bench_omni.py: clients that wait for answers, and arrivals that do not.

Answers are kept as they came and compared after the window, so that on a machine that the generator shares
with the server it takes little CPU while it measures; how much it took is part of what was seen.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc.aio
import numpy as np
from bench.omni_asks import Answer, Ask, decoded, same
from bench.omni_models import Contestant
from bench.omni_seen import Seen, Watch

_INFER = "/inference.GRPCInferenceService/ModelInfer"
_TIMEOUT_S = 300.0
_LEAD_S = 0.2  # between opening the connection and the first arrival
_OPTIONS = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))


@dataclass(frozen=True)
class Exchange:
    """A request and its answer.

    Attributes:
        ask: The request.
        due_s: When it was to be sent, by time.perf_counter.
        done_s: When its answer was there.
        raw: The response.
        error: What failed, or nothing.
    """

    ask: Ask
    due_s: float
    done_s: float
    raw: bytes
    error: str = ""


@dataclass(frozen=True)
class Result:
    """What came of a window.

    Attributes:
        rate_hz: Answers per second, counted with clients; else arrivals per second.
        names: Of the requests, in the order of `times_s`.
        times_s: From when each request was due until its answer was there.
        wrong: Of each request whose answer was not right, the name and why.
        seen: What the server did, beginning and end of the window included.
    """

    rate_hz: float
    names: tuple[str, ...]
    times_s: tuple[float, ...]
    wrong: tuple[str, ...]
    seen: Seen

    @property
    def mean_s(self) -> float:
        """The mean of the times."""
        return statistics.fmean(self.times_s)

    @property
    def slowest(self) -> str:
        """The request that took longest."""
        return max(zip(self.times_s, self.names, strict=True))[1]

    def time_s(self, percentile: float) -> float:
        """A percentile of the times."""
        return float(np.percentile(self.times_s, percentile))


class Loader:
    """Loads contestants with requests whose right answers are known.

    Args:
        right: By the name of the request.
    """

    def __init__(self, right: Mapping[str, Answer]) -> None:
        self._right = right

    def closed(self, contestant: Contestant, asks: Iterator[Ask], clients: int, count: int) -> Result:
        """Some clients, each with one request under way, until so many answers have been counted.

        Counting begins when as many answers have come as half of the clients: as much is half done then as
        will be at the end of the counting. What is under way at the end is answered, too.
        """
        warm_up = max(1, clients // 2)
        exchanges, seen = _watched(contestant, lambda send: _clients(send, asks, clients, warm_up + count))
        ends = sorted(exchange.done_s for exchange in exchanges)
        return self._result(count / (ends[warm_up + count - 1] - ends[warm_up - 1]), exchanges, seen)

    def open(self, contestant: Contestant, due: Sequence[tuple[float, Ask]], rate_hz: float) -> Result:
        """Each request at its time, in seconds, whatever the server does."""
        exchanges, seen = _watched(contestant, lambda send: _arrivals(send, due))
        return self._result(rate_hz, exchanges, seen)

    def _result(self, rate_hz: float, exchanges: Sequence[Exchange], seen: Seen) -> Result:
        faults = [(each.ask.name, self._fault(each)) for each in exchanges]
        wrong = tuple(f"{name}: {fault}" for name, fault in faults if fault)
        names = tuple(each.ask.name for each in exchanges)
        times_s = tuple(each.done_s - each.due_s for each in exchanges)
        return Result(rate_hz, names, times_s, wrong, seen)

    def _fault(self, exchange: Exchange) -> str:
        if exchange.error:
            return exchange.error
        is_right = same(decoded(exchange.raw), self._right[exchange.ask.name])
        return "" if is_right else "another answer than the right one"


def turns(
    asks: Mapping[str, Sequence[Ask]], shares: Mapping[str, float], random: np.random.Generator
) -> Iterator[Ask]:
    """Requests without end in the mix of the shares, the examples of a type in turn.

    They come in shuffled decks of one mix each, so that windows of one length hold nearly the same work.
    """
    least = min(shares.values())
    deck = [name for name, share in shares.items() for _ in range(round(share / least))]
    sent = dict.fromkeys(shares, 0)
    while True:
        for name in random.permutation(deck):
            yield asks[name][sent[name] % len(asks[name])]
            sent[name] += 1


# Sends a request that was due at a time, and notes when its answer came.
Send = Callable[[Ask, float], Awaitable[Exchange]]


def _watched(
    contestant: Contestant, load: Callable[[Send], Coroutine[Any, Any, list[Exchange]]]
) -> tuple[list[Exchange], Seen]:
    """Runs a load over a connection to the contestant's server."""

    async def connected() -> list[Exchange]:
        async with grpc.aio.insecure_channel(contestant.server.grpc_url, _OPTIONS) as channel:
            call = channel.unary_unary(_INFER)

            async def send(ask: Ask, due_s: float) -> Exchange:
                raw, error = b"", ""
                try:
                    raw = await call(ask.encoded(contestant).body, timeout=_TIMEOUT_S)
                except grpc.aio.AioRpcError as failure:
                    error = f"{failure.code().name}: {failure.details()}"
                return Exchange(ask, due_s, time.perf_counter(), raw, error)

            return await load(send)

    watch = Watch(contestant.server)
    exchanges = asyncio.run(connected())
    return exchanges, watch.seen()


async def _clients(send: Send, asks: Iterator[Ask], clients: int, count: int) -> list[Exchange]:
    done: list[Exchange] = []

    async def client() -> None:
        while len(done) < count:
            done.append(await send(next(asks), time.perf_counter()))

    await asyncio.gather(*(client() for _ in range(clients)))
    return done


async def _arrivals(send: Send, due: Sequence[tuple[float, Ask]]) -> list[Exchange]:
    begin_s, tasks = time.perf_counter() + _LEAD_S, []
    for at_s, ask in due:
        await asyncio.sleep(max(0.0, begin_s + at_s - time.perf_counter()))
        tasks.append(asyncio.ensure_future(send(ask, begin_s + at_s)))
    return await asyncio.gather(*tasks)
