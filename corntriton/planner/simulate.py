"""A discrete-event simulation of a plan: requests arrive, are batched, moved, answered; times come out.

    arrivals ──> [start of a step] ──> station ──> [end of a batch] ──> over links ──> [start of a step] …

The loop below knows three events: a request arrives, a step may start, a station has something to say.
Everything random is drawn beforehand from one seed, so that equal calls give equal results, and calls that
differ in the rate alone see the same requests.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count, cycle
from typing import Any

import numpy as np

from corntriton.planner.arrivals import Arrival, arrivals
from corntriton.planner.plan import Plan
from corntriton.planner.scenario import Feed, Scenario, scenario
from corntriton.planner.stations import Group, Pool, Run, Station

# A hop through an orchestrator, which makes one after another: CPU time of one BLS call, measured on
# tritonserver 2.51 with the Python backend.
HOP_S = 0.4e-3

Span = tuple[str, str, int, float, float]
Seconds = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Outcome:
    """What became of the requests of one type, in the order of their arrival, those of the warm-up left out.

    Attributes:
        arrived_s: When each arrived.
        completion_s: How long each took until all was through.
        first_chunk_s: How long until the client got something.
        work: Work of the last step that answers the client, such as tokens; for times per unit of it.
    """

    arrived_s: Seconds
    completion_s: Seconds
    first_chunk_s: Seconds
    work: Seconds

    @property
    def per_token_s(self) -> Seconds:
        """Time after the first chunk, per unit of work."""
        return (self.completion_s - self.first_chunk_s) / self.work


@dataclass(frozen=True)
class Simulation:
    """What a simulation saw.

    Attributes:
        outcomes: By request type.
        busy: Share of the time that an executor's devices on a node worked, by `executor on node`.
        links: Share of the time that a link carried something, by its name.
        duration_s: From the start to the last answer.
        stages: Turns of invocations that were run.
        spans: (executor on node, step, request number, start, end), where they were asked for.
    """

    outcomes: Mapping[str, Outcome]
    busy: Mapping[str, float]
    links: Mapping[str, float]
    duration_s: float
    stages: int
    spans: tuple[Span, ...] = ()


def simulate(
    plan: Plan,
    *,
    seed: int = 0,
    requests: int = 5000,
    rate_multiple: float = 1.0,
    warm_up: float = 0.1,
    hop_s: float = HOP_S,
    spans: bool = False,
) -> Simulation:
    """Simulates a plan under its workload.

    Args:
        plan: A plan with routes for every request type that has a rate.
        seed: Of everything random.
        requests: How many arrive, all types together; all are seen through.
        rate_multiple: Times the workload's rate.
        warm_up: Share of the requests, from the first on, that does not count.
        hop_s: What an orchestrator spends on one invocation; each node has one orchestrator.
        spans: Keep who did what when, for a trace.
    """
    layout = scenario(plan, seed)
    coming = arrivals(plan, layout.ways, seed, requests, rate_multiple)
    nodes = sum(1 for _ in plan.cluster.all_nodes())
    run = _Run(layout, hop_s, nodes, spans)
    with _without_collector():
        end_s = run.play(coming)
    kept = range(int(requests * warm_up), requests)
    return Simulation(
        outcomes={d.name: run.outcome(coming, number, kept) for number, d in enumerate(layout.demands)},
        busy={site.name: site.busy_s / end_s for site in layout.sites},
        links={link.name: link.busy_s / end_s for link in layout.links},
        duration_s=end_s,
        stages=run.stages,
        spans=tuple(run.spans or ()),
    )


@contextmanager
def _without_collector() -> Iterator[None]:
    """Millions of short-lived tuples, no cycles: the collector would take a quarter of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Request:
    """A request under way; lists are by step."""

    __slots__ = (
        "begun",
        "left",
        "needs",
        "number",
        "ready",
        "running",
        "sent",
        "since_s",
        "stations",
        "steps",
        "works",
    )

    def __init__(self, number: int, arrival: Arrival) -> None:
        way = arrival.way
        self.number = number
        self.steps = way.steps
        self.works = arrival.works
        self.needs = list(way.needs)
        self.ready = list(way.ready)
        self.left = count = len(way.steps)
        self.sent = [0] * count
        self.begun = [0] * count
        self.running = [0] * count
        self.since_s = [0.0] * count
        self.stations: dict[int, Station] = {}


class _Run:
    """One simulation; its events are (time, order, what, with what, with what).

    Methods whose name starts with `_at_` are events. Seconds of a run are calls, so some of them are written
    out here where they would read better by name: heappush above all.
    """

    def __init__(self, layout: Scenario, hop_s: float, orchestrators: int, spans: bool) -> None:
        self.stages = 0
        self.spans: list[Span] | None = [] if spans else None
        self.first_s: list[float] = []  # by request; 0 until the client gets something
        self.ended_s: list[float] = []
        self._layout = layout
        self._hop_s = hop_s
        self._free_s = [0.0] * orchestrators
        self._events: list[tuple[float, int, Callable[[float, Any, Any], None], Any, Any]] = []
        self._order = count().__next__
        # Instances that take requests as they come get them from Triton in turn, however much each has to do.
        # (Those with one batching member are one station: there the first that is free takes what waits.)
        self._turns = [cycle(site.stations) for site in layout.sites]

    def play(self, coming: list[Arrival]) -> float:
        """Runs everything; gives the time of the last event."""
        self.first_s = [0.0] * len(coming)
        self.ended_s = [0.0] * len(coming)
        events, now_s = self._events, 0.0
        for number, arrival in enumerate(coming):
            at_s = arrival.at_s
            while events and events[0][0] <= at_s:
                now_s, _, act, first, second = heappop(events)
                act(now_s, first, second)
            request = _Request(number, arrival)
            for index in arrival.way.first:
                self._go_on(at_s, request, index)
        while events:
            now_s, _, act, first, second = heappop(events)
            act(now_s, first, second)
        return now_s

    def _go_on(self, now_s: float, request: _Request, index: int) -> None:
        """Sends a step's next turn through the orchestrator, if there is one and nothing is in its way."""
        if request.needs[index] or request.running[index] or request.begun[index] == request.ready[index]:
            return
        request.begun[index] += 1
        request.running[index] = request.steps[index].elements
        free_s = self._free_s
        one = request.number % len(free_s)
        start_s = (free_s[one] if free_s[one] > now_s else now_s) + self._hop_s
        free_s[one] = start_s
        heappush(self._events, (start_s, self._order(), self._at_turn, request, index))

    def _at_turn(self, now_s: float, request: _Request, index: int) -> None:
        """A turn starts: its runs join the queue of the station that serves the request there."""
        step = request.steps[index]
        self.stages += 1
        request.since_s[index] = now_s
        station = request.stations.get(step.site)
        if station is None:
            station = request.stations[step.site] = next(self._turns[step.site])
        run = (request, index, request.works[index], step.tells)
        for _ in range(step.elements):
            station.put(step.member, run)
        if station.free:
            self._start(now_s, station)

    def _start(self, now_s: float, station: Station) -> None:
        """Lets a station begin what it can, and notes when it has something to say."""
        if isinstance(station, Pool):
            for end_s, batch in station.start(now_s):
                heappush(self._events, (end_s, self._order(), self._at_end, station, batch))
        else:
            wake_s = station.start(now_s)
            if wake_s is not None:
                heappush(self._events, (wake_s, self._order(), self._at_wake, station, station.wakes))

    def _at_end(self, now_s: float, station: Pool, batch: list[Run]) -> None:
        """A batch is through."""
        station.end(batch)
        for request, index, _, _ in batch:
            self._ran(now_s, request, index)
        self._start(now_s, station)

    def _at_wake(self, now_s: float, station: Group, wakes: int) -> None:
        """A group has something to say."""
        if station.wakes != wakes:
            return  # something came in between, and the station has named another time since
        for (request, index, _, _), share in station.wake(now_s):
            if share == 1.0:
                self._ran(now_s, request, index)
            else:
                self._spoke(now_s, request, index, share)
        self._start(now_s, station)

    def _ran(self, now_s: float, request: _Request, index: int) -> None:
        """A run is through; with it perhaps the turn, the step, the request."""
        request.running[index] -= 1
        if request.running[index]:
            return
        step = request.steps[index]
        if self.spans is not None:
            site = self._layout.sites[step.site]
            self.spans.append((site.name, step.id, request.number, request.since_s[index], now_s))
        if request.begun[index] < step.chunks:
            self._spoke(now_s, request, index, 1.0)
            self._go_on(now_s, request, index)
            return
        if step.answers and not self.first_s[request.number]:
            self.first_s[request.number] = now_s
        for feed in step.feeds:
            if feed.chunked:
                self._make_ready(now_s, request, feed, 1.0)
            elif feed.crossing:
                arrival_s = feed.crossing.arrival_s(now_s)
                heappush(self._events, (arrival_s, self._order(), self._at_delivery, request, feed.step))
            else:
                self._at_delivery(now_s, request, feed.step)
        request.left -= 1
        if not request.left:
            self.ended_s[request.number] = now_s

    def _spoke(self, now_s: float, request: _Request, index: int, share: float) -> None:
        """The present turn of a step that streams has come so far."""
        step = request.steps[index]
        if step.answers and not self.first_s[request.number]:
            self.first_s[request.number] = now_s
        for feed in step.feeds:
            if feed.chunked:
                self._make_ready(now_s, request, feed, (request.begun[index] - 1 + share) / step.chunks)

    def _make_ready(self, now_s: float, request: _Request, feed: Feed, share: float) -> None:
        """Sends a consumer the chunks that this share of the producer's output holds and it has not got."""
        chunks = request.steps[feed.step].chunks
        due = int(share * chunks + 1e-9)
        for _ in range(request.sent[feed.step], due):
            at_s = feed.crossing.arrival_s(now_s) if feed.crossing else now_s
            heappush(self._events, (at_s, self._order(), self._at_chunk, request, feed.step))
        request.sent[feed.step] = due

    def _at_chunk(self, now_s: float, request: _Request, index: int) -> None:
        """A chunk has come to a step."""
        request.ready[index] += 1
        self._go_on(now_s, request, index)

    def _at_delivery(self, now_s: float, request: _Request, index: int) -> None:
        """A whole output has come to a step."""
        request.needs[index] -= 1
        self._go_on(now_s, request, index)

    def outcome(self, coming: list[Arrival], demand: int, kept: range) -> Outcome:
        """What became of one type's requests among those kept."""
        of_type = [number for number in kept if coming[number].demand == demand]
        arrived_s = np.array([coming[number].at_s for number in of_type])
        ended_s = np.array([self.ended_s[number] for number in of_type])
        first_s = np.array([self.first_s[number] for number in of_type])
        work = np.array([coming[number].works[coming[number].way.told_by] for number in of_type])
        return Outcome(arrived_s, ended_s - arrived_s, first_s - arrived_s, work)
