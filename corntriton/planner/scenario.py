"""A plan made ready to be simulated: stations to work at, links to cross, routes as numbered steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle

import numpy as np

from corntriton.planner.curves import Library, Setting
from corntriton.planner.demand import Demand, Edge
from corntriton.planner.plan import Executor, Member, Plan, Route, Stop
from corntriton.planner.stations import Group, Noise, Pool, Station, Timing
from corntriton.planner.tables import speeds, table

_NOISE_DRAWS = 4096  # drawn in one go and gone round in a circle: numpy's single draws are slow


class Link:
    """Carries one transfer after another; a node's network interface has one for each direction."""

    __slots__ = ("busy_s", "free_at_s", "name", "nbytes")

    def __init__(self, name: str) -> None:
        self.name = name
        self.free_at_s = 0.0
        self.busy_s = 0.0
        self.nbytes = 0.0


@dataclass(frozen=True, slots=True)
class Crossing:
    """What a transfer has to pass: all links at once, for taken_s, and then the latency."""

    links: tuple[Link, ...]
    taken_s: float
    latency_s: float
    nbytes: float

    def arrival_s(self, now_s: float) -> float:
        """When a transfer that is ready now arrives; takes its place on the links."""
        start_s = now_s
        for link in self.links:
            if link.free_at_s > start_s:
                start_s = link.free_at_s
        for link in self.links:
            link.free_at_s = start_s + self.taken_s
            link.busy_s += self.taken_s
            link.nbytes += self.nbytes
        return start_s + self.taken_s + self.latency_s


@dataclass(frozen=True, slots=True)
class Feed:
    """An edge of a route: the step it leads to, and what lies between."""

    step: int
    chunked: bool
    crossing: Crossing | None


@dataclass(frozen=True, slots=True)
class Step:
    """One invocation of a route.

    Attributes:
        id: The invocation's.
        site: Number of the stop; equal sites of one request are the same station.
        member: Number of the component within the executor.
        elements: Runs that start together.
        chunks: Runs that follow one another.
        takes_chunks: Its chunks come from another step; else all are there from the start.
        feeds: Edges that leave it.
        tells: Shares of the way from first chunk to end at which others, or the client, are told.
        answers: Its output goes to the client.
    """

    id: str
    site: int
    member: int
    elements: int
    chunks: int
    takes_chunks: bool
    feeds: tuple[Feed, ...]
    tells: tuple[float, ...]
    answers: bool


@dataclass(frozen=True)
class Site:
    """A stop of some route: the stations that serve it.

    Attributes:
        executor: Its name.
        node: The node's name.
        stations: Interchangeable; a request that comes again comes to the same one.
    """

    executor: str
    node: str
    stations: Sequence[Station]

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.executor} on {self.node}"

    @property
    def busy_s(self) -> float:
        """Time that its devices worked, averaged over its stations."""
        return sum(station.busy_s for station in self.stations) / len(self.stations)


@dataclass(frozen=True)
class Way:
    """A route as numbered steps.

    Attributes:
        share: Of the type's requests.
        steps: In an order in which they could run one by one.
        first: Steps that nothing leads to.
        needs: For each step, how many whole outputs (not chunks) it waits for.
        ready: For each step, how many turns need no chunk from another step.
        told_by: The last step that answers the client; the last of all where none is known to.
    """

    share: float
    steps: tuple[Step, ...]
    first: tuple[int, ...]
    needs: tuple[int, ...]
    ready: tuple[int, ...]
    told_by: int


@dataclass(frozen=True)
class Scenario:
    """Everything a simulation changes while it runs; made anew for every run.

    Attributes:
        demands: The request types.
        ways: Of each request type, in the order of demands.
        sites: By number.
        links: All that may carry something.
    """

    demands: tuple[Demand, ...]
    ways: tuple[tuple[Way, ...], ...]
    sites: tuple[Site, ...]
    links: tuple[Link, ...]


def scenario(plan: Plan, seed: int) -> Scenario:
    """Lays the plan out.

    Args:
        plan: Checked elsewhere.
        seed: Of the variation of times.
    """
    return _Layout(plan, np.random.default_rng(seed)).build()


class _Layout:
    def __init__(self, plan: Plan, random: np.random.Generator) -> None:
        self._plan = plan
        self._random = random
        self._library = Library(plan.profiles.profiles)
        self._class = dict(plan.cluster.all_nodes())
        self._sites: dict[tuple[str, str], int] = {}
        self._built: list[Site] = []
        self._links: dict[str, Link] = {}

    def build(self) -> Scenario:
        ways = tuple(
            tuple(self._way(demand, route) for route in self._plan.routes_of(demand.name))
            for demand in self._plan.demands
        )
        return Scenario(self._plan.demands, ways, tuple(self._built), tuple(self._links.values()))

    def _way(self, demand: Demand, route: Route) -> Way:
        index = {invocation.id: number for number, invocation in enumerate(demand.invocations)}
        steps = []
        for invocation in demand.invocations:
            stop = route.stops[invocation.id]
            executor = self._plan.executor(stop.executor)
            out = [edge for edge in demand.edges if edge.producer == invocation.id]
            feeds = tuple(self._feed(edge, index[edge.consumer], route, demand) for edge in out)
            answers = invocation.id in demand.answers
            steps.append(
                Step(
                    id=invocation.id,
                    site=self._site(stop),
                    member=executor.components.index(invocation.component),
                    elements=invocation.elements,
                    chunks=invocation.chunks,
                    takes_chunks=any(
                        edge.chunked and edge.consumer == invocation.id for edge in demand.edges
                    ),
                    feeds=feeds,
                    tells=self._tells(demand, out, answers and self._streams(invocation.component)),
                    answers=answers,
                )
            )
        fed = [[edge.chunked for edge in demand.edges if edge.consumer == step.id] for step in steps]
        first = tuple(number for number, edges in enumerate(fed) if not edges)
        needs = tuple(edges.count(False) for edges in fed)
        ready = tuple(0 if step.takes_chunks else step.chunks for step in steps)
        told_by = max((k for k, step in enumerate(steps) if step.answers), default=len(steps) - 1)
        return Way(route.share, tuple(steps), first, needs, ready, told_by)

    def _tells(self, demand: Demand, out: list[Edge], to_client: bool) -> tuple[float, ...]:
        """When a streaming step has to speak up before its end: at its first chunk, and per chunk taken."""
        chunks = {demand.invocation(edge.consumer).chunks for edge in out if edge.chunked}
        shares = {number / count for count in chunks for number in range(1, count)}
        return tuple(sorted(shares | ({0.0} if to_client or chunks else set())))

    def _streams(self, component: str) -> bool:
        facts = self._plan.components.get(component)
        return facts is None or facts.streaming

    def _feed(self, edge: Edge, step: int, route: Route, demand: Demand) -> Feed:
        here, there = route.stops[edge.producer], route.stops[edge.consumer]
        crossing = None if here == there or not edge.nbytes else self._crossing(edge, here, there, demand)
        return Feed(step, edge.chunked, crossing)

    def _crossing(self, edge: Edge, here: Stop, there: Stop, demand: Demand) -> Crossing:
        nodes = self._plan.cluster.nodes
        pieces = demand.invocation(edge.consumer).chunks if edge.chunked else 1
        nbytes = edge.nbytes / pieces
        if here.node == there.node:
            local = nodes[self._class[here.node]].local
            links = (self._link(f"{here.node} local"),)
            return Crossing(links, nbytes / local.bytes_per_s, local.latency_ms / 1e3, nbytes)
        out, into = nodes[self._class[here.node]].nic, nodes[self._class[there.node]].nic
        links2 = (self._link(f"{here.node} out"), self._link(f"{there.node} in"))
        slowest = min(out.bytes_per_s, into.bytes_per_s)
        latency_s = max(out.latency_ms, into.latency_ms) / 1e3
        return Crossing(links2, nbytes / slowest, latency_s, nbytes)

    def _link(self, name: str) -> Link:
        return self._links.setdefault(name, Link(name))

    def _site(self, stop: Stop) -> int:
        key = (stop.executor, stop.node)
        if key not in self._sites:
            self._sites[key] = len(self._built)
            executor = self._plan.executor(stop.executor)
            self._built.append(Site(stop.executor, stop.node, self._stations(executor, stop.node)))
        return self._sites[key]

    def _stations(self, executor: Executor, node: str) -> list[Station]:
        count = executor.count_on(node)
        size = executor.devices_per_instance
        only = executor.members[0]
        if len(executor.members) == 1 and not self._is_continuous(executor, only):
            copies = count * (size // only.tensor_parallel)
            return [Pool(self._timing(executor, only), only.max_batch, copies)]
        return [self._group(executor, size) for _ in range(count)]

    def _group(self, executor: Executor, size: int) -> Group:
        group = Group(size)
        for member in executor.members:
            timing, devices = self._timing(executor, member), member.tensor_parallel
            copies = max(size // devices, 1)
            cache = next((c for c in executor.caches if c.component == member.component), None)
            if cache is None:
                group.add_batcher(timing, member.max_batch, copies, devices)
            else:
                group.add_continuous(
                    timing, member.max_batch, copies, devices, cache.nbytes, cache.bytes_per_work
                )
        return group

    def _is_continuous(self, executor: Executor, member: Member) -> bool:
        return any(cache.component == member.component for cache in executor.caches)

    def _timing(self, executor: Executor, member: Member) -> Timing:
        setting = Setting(executor.device, member.tensor_parallel, member.precision)
        curve = self._library.curve(member.component, setting, member.beside)
        rows = [
            [curve.latency_s(batch, work) for work in curve.works] for batch in range(1, member.max_batch + 1)
        ]
        firsts = [[curve.first_chunk_s(1, work) for work in curve.works]]
        return Timing(
            latency_s=table(curve.works, rows),
            speed=speeds(curve.works, rows),
            first_chunk_s=partial(table(curve.works, firsts), 1),
            noise=self._noise(curve.spread()),
        )

    def _noise(self, spread: float) -> Noise | None:
        if spread <= 0:
            return None
        return cycle(lognormal(self._random, 1.0, spread, _NOISE_DRAWS)).__next__


def lognormal(random: np.random.Generator, mean: float, cv: float, count: int) -> list[float]:
    """Draws with that mean and coefficient of variation."""
    if cv <= 0:
        return [mean] * count
    sigma2 = math.log1p(cv * cv)
    drawn: list[float] = random.lognormal(math.log(mean) - sigma2 / 2, math.sqrt(sigma2), count).tolist()
    return drawn
