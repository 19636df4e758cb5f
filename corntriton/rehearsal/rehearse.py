"""`corntriton rehearse`: plans in; what the simulator predicts of each, and what the real server does, out.

predict ──> the multiple at which a target first fails in simulations ─┐
stage ──> servers with stand-ins ──> plays at multiples around it ──────┴─search──> the same on the server
                                └──> a play of all plans at one common rate
"""

from __future__ import annotations

import math
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as File

import numpy as np

from corntriton.errors import Problem, UserError
from corntriton.planner.goodput import (
    WARM_UP,
    Strains,
    flow_bound,
    largest,
    rough_goodput,
    run_length,
    times,
    verdicts,
)
from corntriton.planner.plan import Plan
from corntriton.planner.simulate import Simulation, simulate
from corntriton.rehearsal.seen import Seen, depth
from corntriton.rehearsal.stage import Stage
from corntriton.serving.launch import Launcher

# The search: up to this multiple of what is predicted, first where it is predicted, until it is this narrow.
MOST = 1.2
_STEP, _TOLERANCE = 1.08, 0.05
_PREDICTED_STEP, _PREDICTED_TOLERANCE = 1.05, 0.01
_BEYOND = 2.0  # times the capacity: the most that is looked at
# Plays are made longer until what they can carry is at most so many times the capacity, or they are so long.
_STEADY, _LONGEST = 1.1, 8000
LENGTH = 4.0  # of a play, in times the longest target
FEWEST = 300
COMMON = 0.9  # of the least predicted goodput of the plans that are compared: the rate at which all are seen

# What this machine is taken to need, when the time scale is chosen: of CPU for one invocation, and of delay
# for one step; what share of its CPUs, and of the tightest target, that may be. What it needed is printed.
_CALL_CPU_S, _CPU_SHARE = 4e-3, 0.5
_STEP_DELAY_S, _DELAY_SHARE = 10e-3, 0.1

# The machine was the bottleneck where its own delays are more of the tightest target than that, or its CPUs
# were busier.
_HARMLESS_DELAY, _HARMLESS_CPU = 0.2, 0.85


@dataclass(frozen=True)
class Options:
    """How to rehearse.

    Attributes:
        slower: Real seconds for each second of the plan; None for what this machine can do.
        seeds: Independent searches, each with its own requests.
        seed: Of the first.
        requests: In each play; None for several times the longest target.
        search: Find the goodput on the server; else only play at the common rate.
    """

    slower: float | None = None
    seeds: int = 1
    seed: int = 0
    requests: int | None = None
    search: bool = True


@dataclass(frozen=True)
class Play:
    """One load of one plan, predicted and measured with the same requests.

    Attributes:
        multiple: Of the workload.
        predicted: By simulation.
        measured: On the server.
        strain: Of the target that fared worst on the server: its time over the time promised.
        predicted_strain: The same in the simulation.
    """

    multiple: float
    predicted: Simulation
    measured: Seen
    strain: float
    predicted_strain: float


@dataclass
class Rehearsed:
    """One plan.

    Attributes:
        name: `this plan`, or what rivals_of calls it.
        plan: The plan.
        slower: Real seconds for each second of the plan.
        requests: In each play.
        delay_real_s: What this machine adds to each step of a request; taken off what was measured.
        predicted: Goodput by simulations, as a multiple of the workload; for each seed.
        measured: The same on the server, with the same requests.
        plays: All of the search.
        common: The play at the rate at which all plans are seen.
    """

    name: str
    plan: Plan
    slower: float
    requests: int
    delay_real_s: float = 0.0
    predicted: list[float] = field(default_factory=list)
    measured: list[float] = field(default_factory=list)
    plays: list[Play] = field(default_factory=list)
    common: Play | None = None

    @property
    def error(self) -> float | None:
        """Predicted over measured goodput, less 1; the mean over the seeds."""
        pairs = [(p, m) for p, m in zip(self.predicted, self.measured, strict=False) if m]
        return statistics.fmean(p / m - 1 for p, m in pairs) if pairs else None

    @property
    def delay(self) -> float:
        """What this machine adds to a lone request, as a share of the target that it matters most to."""
        return max(_per_target(self.plan), default=0.0) * self.delay_real_s / self.slower

    @property
    def cpu(self) -> float:
        """The most of this machine's CPUs that any play kept busy."""
        plays = [*self.plays, *([self.common] if self.common else [])]
        return max((play.measured.machine.cpu for play in plays), default=0.0)

    @property
    def machine_is_bottleneck(self) -> bool:
        """Whether figures are this machine's rather than the plan's."""
        return self.delay > _HARMLESS_DELAY or self.cpu > _HARMLESS_CPU


def rehearse(
    plans: Mapping[str, Plan],
    launcher: Launcher,
    options: Options,
    on_news: Callable[[str], object] = lambda text: None,
) -> list[Rehearsed]:
    """Rehearses plans, seed by seed, each seed with all plans in turn.

    Args:
        plans: By name; the first is the one that the others are compared with.
        launcher: The server.
        options: How.
        on_news: Called with what is being done.

    Raises:
        UserError: A plan cannot be rehearsed.
        CorntritonError: A server did not start, or a request failed.
    """
    on_news("simulating")
    near = {name: _near(plan, options) for name, plan in plans.items()}
    slower = options.slower or max(slower_for(plan, near[name]) for name, plan in plans.items())
    found = {
        name: Rehearsed(name, plan, slower, options.requests or _length(plan, near[name], options.seed))
        for name, plan in plans.items()
    }
    common = COMMON * min(near.values())
    for turn in range(options.seeds):
        for name in plans:
            _rehearse_one(found[name], near[name], common, options, turn, launcher, on_news)
    return [*found.values()]


def _rehearse_one(
    one: Rehearsed,
    near: float,
    common: float,
    options: Options,
    turn: int,
    launcher: Launcher,
    on_news: Callable[[str], object],
) -> None:
    seed = options.seed + turn
    predicted = _predicted(one.plan, seed, one.requests, near)
    if options.search and _has_targets(one.plan) and predicted >= _BEYOND * flow_bound(one.plan):
        what = f"{one.requests} requests are over before a target fails, at {_BEYOND:g} times the capacity"
        raise UserError([Problem(one.name, "--requests", what, "rehearse with more, or with --no-search")])
    one.predicted.append(predicted)
    with tempfile.TemporaryDirectory(prefix="corntriton-rehearsal-") as folder:
        on_news(f"{one.name}: starting the server")
        with Stage(one.plan, File(folder), launcher, one.slower, seed) as stage:
            on_news(f"{one.name}: lone requests")
            one.delay_real_s = max(one.delay_real_s, stage.find_delay())
            player = _Player(one, stage, seed, on_news)
            if options.search and _has_targets(one.plan):
                found = largest(
                    lambda multiple: player(multiple).strain, MOST * predicted, predicted, _STEP, _TOLERANCE
                )
                one.measured.append(found)
                one.plays += player.plays
            if one.common is None:
                one.common = player(common)


class _Player:
    """Plays a plan at multiples of the workload, predicted and measured."""

    def __init__(self, one: Rehearsed, stage: Stage, seed: int, on_news: Callable[[str], object]) -> None:
        self.plays: list[Play] = []
        self._one = one
        self._stage = stage
        self._seed = seed
        self._on_news = on_news

    def __call__(self, multiple: float) -> Play:
        one = self._one
        self._on_news(f"{one.name}: playing {multiple:.2f}x the workload")
        measured = self._stage.play(multiple, self._seed, one.requests, WARM_UP)
        predicted = simulate(
            one.plan, seed=self._seed, requests=one.requests, rate_multiple=multiple, warm_up=WARM_UP
        )
        strains = (strain(one.plan, measured.simulation), strain(one.plan, predicted))
        play = Play(multiple, predicted, measured, *strains)
        self.plays.append(play)
        return play


def strain(plan: Plan, simulation: Simulation) -> float:
    """Of the target that fares worst: the time at its percentile over the time promised."""
    judged = verdicts(plan, simulation).values()
    return max((each.value_s / each.target.seconds for of in judged for each in of), default=0.0)


def slowdowns(plan: Plan, simulation: Simulation) -> np.ndarray:  # type: ignore[type-arg]
    """Each request's time over the tightest time promised to its type: to compare plans by one figure."""
    found = [np.zeros(0)]
    for demand in plan.demands:
        tightest = min(demand.targets, key=lambda target: target.seconds, default=None)
        if tightest is not None:
            found.append(times(simulation.outcomes[demand.name], tightest.of) / tightest.seconds)
    return np.concatenate(found)


def slower_for(plan: Plan, multiple: float) -> float:
    """The time scale at which this machine should not matter at so many times the workload."""
    rates = [demand.rate_hz * multiple * MOST for demand in plan.demands]
    calls = [sum(each.runs for each in demand.invocations) for demand in plan.demands]
    calls_hz = sum(rate * count for rate, count in zip(rates, calls, strict=True))
    by_cpu = calls_hz * _CALL_CPU_S / (_CPU_SHARE * (os.cpu_count() or 1))
    by_delay = max(_per_target(plan), default=0.0) * _STEP_DELAY_S / _DELAY_SHARE
    return float(f"{max(by_cpu, by_delay):.2g}")


def _per_target(plan: Plan) -> Iterator[float]:
    """Steps of a request over the seconds promised to it."""
    for demand in plan.demands:
        for target in demand.targets:
            if target.of != "per_token":
                yield depth(demand) / target.seconds


def _near(plan: Plan, options: Options) -> float:
    """The goodput by a simulation of medium length; capacity where nothing is promised."""
    requests = run_length(plan, 1.0, LENGTH)
    found = rough_goodput(plan, seed=options.seed, requests=requests)
    return max(found or 0.0, 1e-3)


def _predicted(plan: Plan, seed: int, requests: int, near: float) -> float:
    """The multiple at which these very requests first miss a target, by simulation.

    Capacity is no bound: on the server, too, a load that ends can be carried for its while by less.
    """
    if not _has_targets(plan):
        return flow_bound(plan)
    strains = Strains(plan, seed, requests)
    return largest(strains, _BEYOND * flow_bound(plan), near, _PREDICTED_STEP, _PREDICTED_TOLERANCE)


def _length(plan: Plan, near: float, seed: int) -> int:
    requests = max(FEWEST, run_length(plan, near, LENGTH))
    while requests < _LONGEST and _predicted(plan, seed, requests, near) > _STEADY * flow_bound(plan):
        requests *= 2
    return requests


def _has_targets(plan: Plan) -> bool:
    return any(demand.targets for demand in plan.demands)


def mean(values: Sequence[float]) -> float:
    """NaN of nothing."""
    return statistics.fmean(values) if values else math.nan
