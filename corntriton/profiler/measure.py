"""Measures one point: a subject, a batch and items of one work in; times and Triton's own counters out.

| subject               | how                                   | what is timed                             |
|-----------------------|---------------------------------------|-------------------------------------------|
| answers once          | one request of `batch` rows at a time | each execution, by Triton's counters      |
| streams               | `batch` clients, each one stream      | each stream, and its first chunk          |
| member of an executor | 2 x `batch` clients, so all are full  | each batch: every batch-th answer         |

Then what answers once is saturated: twice as many clients as a batch has rows keep the queue filled, and
Triton's counters say what a batch takes then, and what waiting it costs a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from corntriton.errors import CorntritonError
from corntriton.load.connection import Answer, Connection
from corntriton.load.request import Request
from corntriton.profiler.items import Item
from corntriton.profiler.steady import LEAST, Series, series
from corntriton.profiler.subject import Subject

# Of a point's time, for saturation; more than this it never needs, as it counts and does not judge.
_SATURATED_SHARE, _SATURATED_S = 0.3, 2.0
# Triton may count an execution a little after its response has left.
_COUNTED_S, _POLL_S = 5.0, 0.001
_FEWEST_BATCHES = 3


@dataclass(frozen=True)
class Saturated:
    """What Triton counted while the queue was never empty.

    Attributes:
        batch_s: Time per execution, the gaps between them included.
        compute_s: Mean of what an execution took.
        queue_s: Mean of how long a request waited.
        rows: Mean size of a batch.
    """

    batch_s: float
    compute_s: float
    queue_s: float
    rows: float


@dataclass(frozen=True)
class Timing:
    """What a point took.

    Attributes:
        runs: Each execution, stream or batch, without queueing.
        first_s: Of streams, to the first chunk, each of the runs that count.
        chunks: Of a stream, on average.
        saturated: Under saturation; None of what streams or shares its executor.
    """

    runs: Series
    first_s: tuple[float, ...] = ()
    chunks: float = 1.0
    saturated: Saturated | None = None


def measure(address: str, subject: Subject, batch: int, items: Sequence[Item], seconds: float) -> Timing:
    """Measures until the mean is known well enough, but no longer than `seconds` beyond the fewest runs.

    Args:
        address: `host:port` of the server, which has the subject loaded.
        subject: What is called.
        batch: Items that are worked on together.
        items: Of equal work; they take turns.
        seconds: The time there is.

    Raises:
        CorntritonError: A call failed.
    """
    return asyncio.run(_Point(subject, batch, items, seconds).measure(address))


def call_once(address: str, subject: Subject, item: Item) -> None:
    """One call, whatever it takes.

    Raises:
        CorntritonError: It failed.
    """

    async def call() -> None:
        async with Connection(address) as connection:
            _checked(await connection.call(subject.request(item.inputs)))

    asyncio.run(call())


@dataclass(frozen=True)
class _Counters:
    """Triton's counters of a model, as sums; a difference of two is what happened between them."""

    executions: int
    rows: int
    compute_ns: int
    requests: int
    queue_ns: int

    @classmethod
    def of(cls, statistics: Any) -> _Counters:
        whole = statistics.inference_stats
        parts = [(b.compute_input, b.compute_infer, b.compute_output) for b in statistics.batch_stats]
        return cls(
            statistics.execution_count,
            statistics.inference_count,
            sum(part.ns for parts_of_one in parts for part in parts_of_one),
            whole.success.count,
            whole.queue.ns,
        )

    def __sub__(self, before: _Counters) -> _Counters:
        return _Counters(*(getattr(self, name) - getattr(before, name) for name in self.__annotations__))


@dataclass(frozen=True)
class _Point:
    subject: Subject
    batch: int
    items: Sequence[Item]
    seconds: float

    async def measure(self, address: str) -> Timing:
        async with Connection(address) as connection:
            if self.subject.streams:
                return await self._streams(connection)
            if self.subject.joint:
                return await self._in_executor(connection)
            share_s = min(self.seconds * _SATURATED_SHARE, _SATURATED_S)
            runs = await self._light(connection, self.seconds - share_s)
            saturated = await self._saturate(connection, share_s)
            return Timing(runs, saturated=saturated)

    async def _light(self, connection: Connection, seconds: float) -> Series:
        """One execution after the other; each is what Triton's counters have grown by."""
        requests = itertools.cycle(self.subject.request(item.inputs, self.batch) for item in self.items)
        times: list[float] = []
        before = await self._counters(connection)
        give_up_s = time.perf_counter() + seconds
        found = series(times)
        while len(times) < LEAST or (time.perf_counter() < give_up_s and not found.is_long_enough):
            _checked(await connection.call(next(requests)))
            after = await self._counters_after(connection, before)
            times.append((after - before).compute_ns / 1e9)
            before, found = after, series(times)
        return found

    async def _counters_after(self, connection: Connection, before: _Counters) -> _Counters:
        give_up_s = time.perf_counter() + _COUNTED_S
        while (now := await self._counters(connection)).executions == before.executions:
            if time.perf_counter() > give_up_s:
                raise CorntritonError(f"Triton has not counted an execution of {self.subject.model}")
            await asyncio.sleep(_POLL_S)
        return now

    async def _counters(self, connection: Connection) -> _Counters:
        return _Counters.of(await connection.statistics(self.subject.model))

    async def _saturate(self, connection: Connection, seconds: float) -> Saturated | None:
        """After a first round has filled the queue, what the counters grow by in the time there is."""
        crowd = _Crowd(connection, self._singles(), 2 * self.batch)
        crowd.start()
        try:
            await crowd.until(2 * self.batch)
            before, begin_s = await self._counters(connection), time.perf_counter()
            await crowd.until(len(crowd.answers) + _FEWEST_BATCHES * self.batch, seconds)
            after, end_s = await self._counters(connection), time.perf_counter()
        finally:
            await crowd.stop()
        grown = after - before
        if not grown.executions or not grown.requests:
            return None
        return Saturated(
            (end_s - begin_s) / grown.executions,
            grown.compute_ns / 1e9 / grown.executions,
            grown.queue_ns / 1e9 / grown.requests,
            grown.rows / grown.executions,
        )

    async def _streams(self, connection: Connection) -> Timing:
        answers, runs = await self._crowded(connection, self.batch, _durations_s)
        counted = answers[runs.cut :]
        return Timing(
            runs,
            tuple(answer.first_s - answer.sent_s for answer in counted),
            sum(answer.pieces for answer in counted) / len(counted),
        )

    async def _in_executor(self, connection: Connection) -> Timing:
        if self.batch == 1:
            _, runs = await self._crowded(connection, 1, _durations_s)
        else:
            _, runs = await self._crowded(connection, 2 * self.batch, self._periods_s)
        return Timing(runs)

    def _periods_s(self, answers: Sequence[Answer]) -> list[float]:
        """From batch to batch; the answers of one come together."""
        ends = sorted(answer.done_s for answer in answers)[self.batch - 1 :: self.batch]
        return [end - begin for begin, end in itertools.pairwise(ends)]

    async def _crowded(
        self, connection: Connection, clients: int, times_of: Callable[[Sequence[Answer]], list[float]]
    ) -> tuple[list[Answer], Series]:
        """Answers to that many clients, each of whom asks again at once, and the times to read off them."""
        crowd = _Crowd(connection, self._singles(), clients)
        crowd.start()
        try:
            give_up_s = time.perf_counter() + self.seconds
            found = series([])
            while len(found.times_s) < LEAST or (
                time.perf_counter() < give_up_s and not found.is_long_enough
            ):
                await crowd.until(len(crowd.answers) + clients)
                found = series(times_of(crowd.answers))
        finally:
            await crowd.stop()
        return crowd.answers, found

    def _singles(self) -> list[Request]:
        return [self.subject.request(item.inputs) for item in self.items]


class _Crowd:
    """Clients that ask again as soon as they have their answers."""

    def __init__(self, connection: Connection, requests: Sequence[Request], clients: int) -> None:
        self._connection = connection
        self._requests = itertools.cycle(requests)
        self._clients = clients
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        self._failure: CorntritonError | None = None
        self._over = False
        self.answers: list[Answer] = []

    def start(self) -> None:
        """Lets them begin."""
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(self._clients)]

    async def until(self, count: int, seconds: float = 0.0) -> None:
        """Returns when there are so many answers, and the time is over.

        Raises:
            CorntritonError: A call failed.
        """
        give_up_s = time.perf_counter() + seconds
        while (left_s := give_up_s - time.perf_counter()) > 0 or len(self.answers) < count:
            self._news.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._news.wait(), left_s if len(self.answers) >= count else None)
            if self._failure is not None:
                raise self._failure

    async def stop(self) -> None:
        """Lets them finish what they asked; no answer is cut off."""
        self._over = True
        await asyncio.gather(*self._tasks)

    async def _ask(self) -> None:
        while not self._over:
            answer = await self._connection.call(next(self._requests))
            if answer.error:
                self._failure, self._over = CorntritonError(answer.error), True
            elif not self._over:
                self.answers.append(answer)
            self._news.set()


def _durations_s(answers: Sequence[Answer]) -> list[float]:
    return [answer.done_s - answer.sent_s for answer in answers]


def _checked(answer: Answer) -> None:
    if answer.error:
        raise CorntritonError(answer.error)
