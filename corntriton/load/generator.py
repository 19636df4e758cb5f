"""Open-loop load: sends each request at its time, however the server does; arrivals in, answers out.

What it measures of itself: how late it sent, and how much of a CPU it took. A latency counts from the time at
which the request was due, so a late generator makes latencies longer and never shorter.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from corntriton.load.arrivals import Arrival
from corntriton.load.connection import Answer, Connection
from corntriton.load.request import Request

_LEAD_S = 0.2  # between opening the connection and the first request


@dataclass(frozen=True)
class Exchange:
    """A request that was sent, and its answer; times are seconds from the beginning of the load.

    Attributes:
        arrival: When it was due.
        late_s: How much later it was sent.
        first_s: From when it was due to the first piece of its answer.
        done_s: From when it was due to the end of its answer.
        pieces: Of the answer.
        error: What failed, or nothing.
    """

    arrival: Arrival
    late_s: float
    first_s: float
    done_s: float
    pieces: int
    error: str


@dataclass(frozen=True)
class Load:
    """What was sent.

    Attributes:
        exchanges: In the order in which they were due.
        duration_s: For how long requests were sent.
        cpu_share: Of one CPU, taken by the generator.
    """

    exchanges: tuple[Exchange, ...]
    duration_s: float
    cpu_share: float


async def send(
    address: str,
    arrivals: Sequence[Arrival],
    request_of: Callable[[Arrival], Request],
    duration_s: float,
    timeout_s: float,
    on_sent: Callable[[Arrival], object] = lambda arrival: None,
) -> Load:
    """Sends everything and waits for all answers.

    Args:
        address: `host:port` of the server's gRPC.
        arrivals: In the order of time.
        request_of: Gives a request, encoded before: this is called when it is due.
        duration_s: For how long requests are sent.
        timeout_s: Ends a request.
        on_sent: Called with each request that was sent.
    """
    async with Connection(address, timeout_s) as connection:
        begin_s = time.perf_counter() + _LEAD_S
        cpu_s = time.process_time()
        tasks = []
        for arrival in arrivals:
            wait_s = begin_s + arrival.at_s - time.perf_counter()
            await asyncio.sleep(max(0.0, wait_s))  # 0 also lets answers in when the generator is behind
            tasks.append(asyncio.create_task(connection.call(request_of(arrival))))
            on_sent(arrival)
        answers = await asyncio.gather(*tasks)
        elapsed_s = time.perf_counter() - begin_s + _LEAD_S
        cpu_share = (time.process_time() - cpu_s) / elapsed_s
    exchanges = (
        _exchange(arrival, answer, begin_s) for arrival, answer in zip(arrivals, answers, strict=True)
    )
    return Load(tuple(exchanges), duration_s, cpu_share)


def _exchange(arrival: Arrival, answer: Answer, begin_s: float) -> Exchange:
    due_s = begin_s + arrival.at_s
    return Exchange(
        arrival,
        max(0.0, answer.sent_s - due_s),
        answer.first_s - due_s,
        answer.done_s - due_s,
        answer.pieces,
        answer.error,
    )
