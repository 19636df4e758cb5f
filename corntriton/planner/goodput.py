"""Whether simulated requests keep their targets, and the largest rate at which all do; a plan in, rates out.

Coarse to fine: the capacity of the executors bounds the rate from above without simulating; short simulations
close in on the rate at which a target first fails; long ones, with several seeds, settle it and its spread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from corntriton.planner.plan import Plan
from corntriton.planner.simulate import Outcome, Seconds, Simulation, simulate
from corntriton.spec.workload import LatencyTarget

_BATCHES = 20  # batch means: pieces of a run that are taken for independent of one another
_T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}  # Student's t, two-sided 95 %, by number of values


@dataclass(frozen=True)
class Verdict:
    """How one target of one type fared.

    Attributes:
        target: The promise.
        kept: Share of the requests that were in time.
        half_width: Of the 95 % confidence interval of kept, by batch means.
        value_s: The time at the target's percentile.
    """

    target: LatencyTarget
    kept: float
    half_width: float
    value_s: float

    @property
    def met(self) -> bool:
        """Whether the promised share was in time."""
        return self.kept >= self.target.percentile / 100


@dataclass(frozen=True)
class Goodput:
    """The largest multiple of the workload at which every target is met.

    Attributes:
        multiple: Mean over the seeds.
        half_width: Of its 95 % confidence interval.
        bound: What the executors' capacity allows, whatever the targets.
        rates_hz: By request type, at the multiple.
        limited_by: The type and target that fail first, in words; None where capacity is the limit.
    """

    multiple: float
    half_width: float
    bound: float
    rates_hz: Mapping[str, float]
    limited_by: str | None


def times(outcome: Outcome, of: str) -> Seconds:
    """What a target times: `completion`, `first_chunk` or `per_token`."""
    if of == "completion":
        return outcome.completion_s
    return outcome.first_chunk_s if of == "first_chunk" else outcome.per_token_s


def verdicts(plan: Plan, simulation: Simulation) -> dict[str, list[Verdict]]:
    """Every target of every type, judged by a simulation; a type that sent nothing is not judged."""
    found: dict[str, list[Verdict]] = {}
    for demand in plan.demands:
        outcome = simulation.outcomes[demand.name]
        if len(outcome.arrived_s):
            found[demand.name] = [_verdict(target, outcome) for target in demand.targets]
    return found


def goodput(plan: Plan, *, seed: int = 0, requests: int = 4000, seeds: int = 3) -> Goodput:
    """Searches the goodput of a plan.

    Args:
        plan: With routes for every type.
        seed: The first one.
        requests: In each long simulation; short ones have a fourth.
        seeds: How many independent searches; two at least, five at most.
    """
    bound = plan.served_multiple / plan.workload.ceiling
    rates = {demand.name: demand.rate_hz for demand in plan.demands}
    if not any(demand.targets for demand in plan.demands):
        scaled = {name: rate * bound for name, rate in rates.items()}
        return Goodput(bound, 0.0, bound, scaled, None)

    def meets(run_seed: int, count: int) -> Callable[[float], bool]:
        def at(multiple: float) -> bool:
            simulation = simulate(plan, seed=run_seed, requests=count, rate_multiple=multiple)
            return all(v.met for found in verdicts(plan, simulation).values() for v in found)

        return at

    low, high = _bracket(meets(seed, requests // 4), 0.0, bound, 0.05)
    low, high = max(low - 0.1 * bound, 0.0), min(high + 0.1 * bound, bound)
    found = [sum(_bracket(meets(seed + n, requests), low, high, 0.01)) / 2 for n in range(seeds)]
    mean = float(np.mean(found))
    half_width = _T_95[seeds] * float(np.std(found, ddof=1)) / math.sqrt(seeds)
    scaled = {name: rate * mean for name, rate in rates.items()}
    return Goodput(mean, half_width, bound, scaled, _limit(plan, seed, requests, mean))


def _bracket(good: Callable[[float], bool], low: float, high: float, tolerance: float) -> tuple[float, float]:
    """Halves a bracket until it is narrow for its height; a good upper end is the answer."""
    if good(high):
        return high, high
    while high - low > tolerance * high and high > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if good(middle) else (low, middle)
    return low, high


def _limit(plan: Plan, seed: int, requests: int, multiple: float) -> str | None:
    """The target that is furthest behind a little above the goodput."""
    found = verdicts(plan, simulate(plan, seed=seed, requests=requests, rate_multiple=multiple * 1.05))
    worst = [(v.kept - v.target.percentile / 100, name, v.target) for name, vs in found.items() for v in vs]
    behind, name, target = min(worst, key=lambda entry: entry[:2])
    if behind >= 0:
        return None
    return f"{name}: {target.of} within {target.seconds:g} s for {target.percentile:g} %"


def _verdict(target: LatencyTarget, outcome: Outcome) -> Verdict:
    taken_s = times(outcome, target.of)
    in_time = taken_s <= target.seconds
    value_s = float(np.percentile(taken_s, target.percentile))
    return Verdict(target, float(in_time.mean()), _half_width(in_time.astype(float)), value_s)


def _half_width(values: Seconds) -> float:
    """Of the 95 % interval of a mean: neighbours depend on one another, far pieces of the run hardly do."""
    if len(values) < 2 * _BATCHES:
        return float("nan")
    means = np.array([piece.mean() for piece in np.array_split(values, _BATCHES)])
    return float(2.09 * means.std(ddof=1) / math.sqrt(_BATCHES))  # 2.09: Student's t for 20 values
