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
WARM_UP = 0.25  # share of a run that is not judged: queues that grow without end take time to show
_EXPECTED = 0.7  # of the capacity: where a search starts that knows nothing
_ROUGH, _ROUGH_STEP = 0.2, 1.2  # width of the last bracket, and steps towards the first, as factors
_FINE, _FINE_STEP = 0.05, 1.05
_FEWEST, _MOST = 100, 500  # requests for each time the longest target
_NOTHING = 1e-3  # a smaller multiple is none
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
        least: Of the seeds: at it and below, targets were met in every simulation.
        bound: What the executors' capacity allows, whatever the targets.
        rates_hz: By request type, at the multiple.
        limited_by: The type and target that fail first, in words; None where capacity is the limit.
    """

    multiple: float
    half_width: float
    least: float
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


def goodput(
    plan: Plan, *, seed: int = 0, requests: int = 4000, seeds: int = 3, near: float | None = None
) -> Goodput:
    """Searches the goodput of a plan.

    Args:
        plan: With routes for every type.
        seed: The first one.
        requests: In each long simulation; short ones have a fourth.
        seeds: How many independent searches; two at least, five at most.
        near: Where the goodput is expected; without it, short simulations find that out.
    """
    bound = flow_bound(plan)
    rates = {demand.name: demand.rate_hz for demand in plan.demands}
    if not any(demand.targets for demand in plan.demands):
        scaled = {name: rate * bound for name, rate in rates.items()}
        return Goodput(bound, 0.0, bound, bound, scaled, None)
    if near is None:
        near = rough_goodput(plan, seed=seed, requests=requests // 4)
    found: list[float] = []
    limited_by: str | None = None
    for number in range(seeds):
        strains = Strains(plan, seed + number, requests)
        near = max(found[-1] if found else near or 0.0, _NOTHING)
        found.append(largest(strains, bound, near, _FINE_STEP, _FINE))
        limited_by = limited_by or strains.fails_first()
    mean = float(np.mean(found))
    half_width = _T_95[seeds] * float(np.std(found, ddof=1)) / math.sqrt(seeds)
    scaled = {name: rate * mean for name, rate in rates.items()}
    return Goodput(mean, half_width, min(found), bound, scaled, limited_by)


def rough_goodput(plan: Plan, *, seed: int, requests: int, to_beat: float = 0.0) -> float | None:
    """The goodput of a single seed, to a few hundredths; None if it is less than what there is to beat."""
    bound = flow_bound(plan)
    if bound < to_beat:
        return None
    if not any(demand.targets for demand in plan.demands):
        return bound
    strains = Strains(plan, seed, requests)
    if to_beat and strains(to_beat) > 1:
        return None
    return largest(strains, bound, to_beat or _EXPECTED * bound, _ROUGH_STEP, _ROUGH)


def flow_bound(plan: Plan) -> float:
    """The multiple of the workload at which some executor has no time or cache left, whatever the targets."""
    return plan.served_multiple / plan.workload.ceiling


class Strains:
    """The strain of a plan at any multiple of the workload, all seeing the same requests.

    Strain is the time at a target's percentile over the time promised; a target is met up to 1. A plan's is
    that of the target that fares worst.
    """

    def __init__(self, plan: Plan, seed: int, requests: int) -> None:
        """Args: a plan, seed and length of the simulations."""
        self._plan = plan
        self._seed = seed
        self._requests = requests
        self._known: dict[float, tuple[float, str]] = {}

    def __call__(self, multiple: float) -> float:
        """The strain; 0 where nothing is promised."""
        if multiple not in self._known:
            self._known[multiple] = self._worst(multiple)
        return self._known[multiple][0]

    def fails_first(self) -> str | None:
        """The target that failed at the lowest multiple that was asked for, in words."""
        failed = [(multiple, target) for multiple, (strain, target) in self._known.items() if strain > 1]
        return min(failed)[1] if failed else None

    def _worst(self, multiple: float) -> tuple[float, str]:
        seen = simulate(
            self._plan, seed=self._seed, requests=self._requests, rate_multiple=multiple, warm_up=WARM_UP
        )
        found = (
            (verdict.value_s / verdict.target.seconds, _words(name, verdict.target))
            for name, of_type in verdicts(self._plan, seen).items()
            for verdict in of_type
        )
        return max(found, default=(0.0, ""))


def run_length(plan: Plan, multiple: float, targets: float) -> int:
    """How many requests arrive in so many times the longest target; bounded, as time to simulate is.

    A queue that grows without end has to become as long as the target before anybody sees it.
    """
    longest_s = _longest_s(plan)
    rate_hz = sum(demand.rate_hz for demand in plan.demands) * multiple
    return round(targets * min(max(rate_hz * longest_s, _FEWEST), _MOST))


def length_in_targets(plan: Plan, multiple: float, targets: float) -> float:
    """How many times the longest target such a run really lasts."""
    longest_s = _longest_s(plan)
    rate_hz = sum(demand.rate_hz for demand in plan.demands) * multiple
    return run_length(plan, multiple, targets) / (rate_hz * longest_s) if longest_s else math.inf


def _longest_s(plan: Plan) -> float:
    return max((t.seconds for d in plan.demands for t in d.targets if t.of != "per_token"), default=0.0)


def largest(
    strain_at: Callable[[float], float], bound: float, near: float, step: float, tolerance: float
) -> float:
    """The largest multiple up to the bound whose strain is 1.

    Steps away from `near` until the strain is above 1 on one side and not on the other; then goes on between
    the two, where a line through the logarithms of both strains is 1, until the bracket is narrow.
    """
    low, high, below, above = 0.0, math.inf, 0.0, 0.0
    at = min(near, bound)
    while True:
        found = math.log(max(strain_at(at), 1e-9))
        if found <= 0:
            low, below = at, found
        else:
            high, above = at, found
        if low == bound or high <= _NOTHING:
            return low
        if high == math.inf:
            at = min(at * step, bound)
        elif low == 0.0:
            at /= step if at > near / step**2 else 2
        else:
            at = low + (high - low) * min(max(below / (below - above), 0.1), 0.9)
            if high - low <= tolerance * high:
                return at


def _words(request_type: str, target: LatencyTarget) -> str:
    return f"{request_type}: {target.of} within {target.seconds:g} s for {target.percentile:g} %"


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
