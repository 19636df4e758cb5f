"""Who comes when: a plan's workload in, requests with their time, way and work out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np

from corntriton.planner.demand import Demand
from corntriton.planner.plan import Plan
from corntriton.planner.scenario import Way, lognormal


class Arrival(NamedTuple):
    """A request to come.

    Attributes:
        at_s: When it arrives.
        demand: Number of its request type.
        way: The route it takes.
        works: Work of each of its steps.
    """

    at_s: float
    demand: int
    way: Way
    works: tuple[float, ...]


def arrivals(
    plan: Plan, ways: Sequence[Sequence[Way]], seed: int, requests: int, rate_multiple: float
) -> list[Arrival]:
    """Draws the requests; the same seed gives the same requests at any rate, only denser or sparser.

    The times are the workload's trace, repeated as often as needed, or else those of a Poisson process.
    """
    random = np.random.default_rng([seed, 1])
    if plan.workload.arrivals:
        times, types = _from_trace(plan, requests, rate_multiple)
    else:
        times, types = _poisson(plan.demands, random, requests, rate_multiple)
    found: list[Arrival | None] = [None] * requests
    for number, demand in enumerate(plan.demands):
        places = np.flatnonzero(types == number).tolist()
        works = _works(demand, random, len(places))
        chosen = _chosen(ways[number], random, len(places))
        for place, way, work in zip(places, chosen, works, strict=True):
            found[place] = Arrival(float(times[place]), number, way, work)
    return [arrival for arrival in found if arrival is not None]


def _poisson(
    demands: Sequence[Demand], random: np.random.Generator, requests: int, rate_multiple: float
) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    rates = np.array([demand.rate_hz for demand in demands]) * rate_multiple
    times = np.cumsum(random.standard_exponential(requests)) / rates.sum()
    return times, random.choice(len(demands), size=requests, p=rates / rates.sum())


def _from_trace(plan: Plan, requests: int, rate_multiple: float) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    index = {demand.name: number for number, demand in enumerate(plan.demands)}
    kept = [(at_s, index[name]) for at_s, name in plan.workload.arrivals if name in index]
    times = np.array([at_s for at_s, _ in kept])
    types = np.array([number for _, number in kept])
    period_s = times[-1] * len(times) / max(len(times) - 1, 1)  # one mean gap between two rounds
    rounds = -(-requests // len(times))
    all_times = np.concatenate([times + period_s * number for number in range(rounds)])
    return all_times[:requests] / rate_multiple, np.tile(types, rounds)[:requests]


def _works(demand: Demand, random: np.random.Generator, count: int) -> list[tuple[float, ...]]:
    if not any(invocation.work.cv for invocation in demand.invocations):
        return list(repeat(tuple(invocation.work.mean for invocation in demand.invocations), count))
    drawn = [lognormal(random, i.work.mean, i.work.cv, count) for i in demand.invocations]
    return list(zip(*drawn, strict=True))


def _chosen(ways: Sequence[Way], random: np.random.Generator, count: int) -> list[Way]:
    if len(ways) == 1:
        return [ways[0]] * count
    shares = np.array([way.share for way in ways])
    return [ways[one] for one in random.choice(len(ways), size=count, p=shares / shares.sum()).tolist()]
