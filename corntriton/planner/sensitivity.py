"""How far a workload may move before a plan fails its targets: a Decision in, a margin for every figure out.

One figure moves at a time, the plan stays as it is; every simulation sees the same requests. Each margin is
searched by simulation, and where the plan fails its rivals are simulated too: perhaps one of them does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from corntriton.planner.contest import FRESH, SHORT
from corntriton.planner.decide import Decision
from corntriton.planner.goodput import Strains, largest, run_length
from corntriton.planner.plan import Plan

FARTHEST = 4.0  # no figure is moved by a larger factor
RESOLUTION = 0.04  # of a factor, as a share; a single seed adds its own noise
NEAR, STEP = 1.1, 1.3
BEYOND = 1.03  # where rivals are tried: this far beyond what the plan can take
RESERVE = 0.9  # of the goodput: the rate at which a plan that serves the most is looked at

Move = Callable[[Plan, float], Plan]


@dataclass(frozen=True)
class Margin:
    """How far one figure can move.

    Attributes:
        what: The figure: `rate`, `share of <type>` or `time of <component>`.
        grows: Whether it grows or shrinks.
        factor: The figure may become this many times what it is; 0 if it may vanish.
        fails: The type and target that fail first beyond that; None where nothing failed.
        rivals: Deployments on as many devices that keep all targets a little beyond it.
    """

    what: str
    grows: bool
    factor: float
    fails: str | None
    rivals: tuple[str, ...]


@dataclass(frozen=True)
class Sensitivity:
    """The margins of a plan.

    Attributes:
        at: The multiple of the workload at which the figures move.
        farthest: Factors beyond this were not tried.
        resolution: Of a factor, as a share of it.
        margins: Rate, shares, times.
    """

    at: float
    farthest: float
    resolution: float
    margins: tuple[Margin, ...]


def sensitivity(decision: Decision, seed: int = 0) -> Sensitivity:
    """Margins of the chosen plan: of the rate, of every type's share, of every component's time."""
    served = decision.planned.plan.objective.goal == "served"
    at = RESERVE * decision.chosen.goodput.multiple if served else 1.0
    search = _Search(decision, at, seed)
    return Sensitivity(at, FARTHEST, RESOLUTION, tuple(search.margins()))


class _Search:
    def __init__(self, decision: Decision, at: float, seed: int) -> None:
        self._plan = decision.chosen.plan
        self._rivals = {
            rival.name: rival.plan
            for rival in decision.rivals
            if rival.plan.executors != self._plan.executors
        }
        self._at = at
        self._seed = seed + FRESH
        self._requests = run_length(self._plan, at, SHORT)

    def margins(self) -> Iterator[Margin]:
        plan = self._plan
        yield self._grows("rate", _with_rate)
        rate_hz = sum(demand.rate_hz for demand in plan.demands)
        for demand in plan.demands if len(plan.demands) > 1 else ():
            move = _with_share(demand.name)
            what = f"share of {demand.name}"
            yield self._grows(what, move, min(FARTHEST, rate_hz / demand.rate_hz))
            yield self._shrinks(what, move)
        for component in sorted({i.component for demand in plan.demands for i in demand.invocations}):
            yield self._grows(f"time of {component}", _with_time(component))

    def _grows(self, what: str, move: Move, farthest: float = FARTHEST) -> Margin:
        near = min(NEAR, farthest)
        factor = largest(lambda by: self._strain(self._plan, move, by), farthest, near, STEP, RESOLUTION)
        return self._margin(what, move, True, factor, factor * BEYOND if factor < farthest else None)

    def _shrinks(self, what: str, move: Move) -> Margin:
        if self._strain(self._plan, move, 0.0) <= 1:
            return self._margin(what, move, False, 0.0, None)
        by = largest(lambda by: self._strain(self._plan, move, 1 / by), 1 / 0.05, NEAR, STEP, RESOLUTION)
        return self._margin(what, move, False, 1 / by, 1 / (by * BEYOND))

    def _strains(self, plan: Plan) -> Strains:
        return Strains(plan, self._seed, self._requests)

    def _strain(self, plan: Plan, move: Move, by: float) -> float:
        return self._strains(move(plan, by))(self._at)

    def _margin(self, what: str, move: Move, grows: bool, factor: float, beyond: float | None) -> Margin:
        if beyond is None:
            return Margin(what, grows, factor, None, ())
        strains = self._strains(move(self._plan, beyond))
        strains(self._at)
        rivals = [name for name, plan in self._rivals.items() if self._strain(plan, move, beyond) <= 1]
        return Margin(what, grows, factor, strains.fails_first(), tuple(rivals))


def _with_rate(plan: Plan, by: float) -> Plan:
    return replace(plan, demands=tuple(replace(d, rate_hz=d.rate_hz * by) for d in plan.demands))


def _with_share(name: str) -> Move:
    """Moves a type's share; the others make room, and keep their proportions."""

    def move(plan: Plan, by: float) -> Plan:
        total = sum(demand.rate_hz for demand in plan.demands)
        own = next(demand.rate_hz for demand in plan.demands if demand.name == name)
        others = max(total - own * by, 0.0) / (total - own)
        demands = (replace(d, rate_hz=d.rate_hz * (by if d.name == name else others)) for d in plan.demands)
        return replace(plan, demands=tuple(demands))

    return move


def _with_time(component: str) -> Move:
    """Scales all times that were measured of a component."""

    def move(plan: Plan, by: float) -> Plan:
        profiles = tuple(p.scaled(by) if p.component == component else p for p in plan.profiles.profiles)
        return replace(plan, profiles=plan.profiles.model_copy(update={"profiles": profiles}))

    return move
