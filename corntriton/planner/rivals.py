"""How plans for the same devices fare beside each other: finalists in, figures and notes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from corntriton.planner.contest import FRESH, LONG, SHORT, Finalist
from corntriton.planner.goodput import Goodput, length_in_targets, run_length
from corntriton.planner.plan import Plan
from corntriton.planner.simulate import simulate

Percentiles = tuple[float, float]  # p50 and p99, in seconds


@dataclass(frozen=True)
class Rival:
    """How a plan for the same devices fares when simulated.

    Attributes:
        name: What it is called.
        plan: The plan.
        goodput: Of it, with seeds that had no part in the choice.
        searched: The multiple with the seeds that the choice was made by; of one far behind, a rough one.
        times_s: By request type, at the rates at which the chosen plan is predicted.
    """

    name: str
    plan: Plan
    goodput: Goodput
    searched: float
    times_s: Mapping[str, Percentiles]


def rival_of(one: Finalist, again: Goodput, multiple: float, seed: int, targets: float) -> Rival:
    """A finalist with its times at a multiple of the workload.

    Args:
        one: The finalist.
        again: Its goodput with fresh seeds.
        multiple: Of the workload, at which the times are taken.
        seed: Of the contest.
        targets: Length of the simulation, in times the longest target.
    """
    plan = one.planned.plan
    requests = run_length(plan, multiple, targets)
    seen = simulate(plan, seed=seed + FRESH, requests=requests, rate_multiple=multiple)
    times_s = {
        kind: (float(np.percentile(outcome.completion_s, 50)), float(np.percentile(outcome.completion_s, 99)))
        for kind, outcome in seen.outcomes.items()
        if len(outcome.completion_s)
    }
    return Rival(one.name, plan, again, one.multiple, times_s)


def notes_of(winner: Finalist, chosen: Rival, rivals: Sequence[Rival], plan: Plan) -> Iterator[str]:
    """What a reader has to know of the choice.

    Args:
        winner: The plan that won, as it was judged.
        chosen: As it fares with fresh seeds.
        rivals: The baselines.
        plan: The plan as it is told, with the objective that it was asked for.
    """
    found, before = chosen.goodput, winner.goodput
    assert before is not None  # it was settled
    if plan.objective.goal == "cost" and before.least < 1:
        least = min(found.least, before.least)
        reached = f"{found.multiple:.2f}x the workload, and {least:.2f}x with the worst seed"
        fails = before.limited_by or found.limited_by
        yield f"misses latency targets on this cluster: goodput is {reached}; {fails} fails first"
    elif plan.objective.goal == "cost" and found.least < 1:
        reached = f"up to {found.least:.2f}x the workload only; {found.limited_by} fails first"
        yield f"with seeds that had no part in the choice, targets were met {reached}"
    elif plan.objective.multiple > 1:
        room = f"has the capacity for {plan.objective.multiple:.3g}x the workload"
        yield f"{room}: on cheaper devices targets were missed when simulated"
    for rival in rivals:
        yield from _ahead(chosen, rival)
    length = length_in_targets(chosen.plan, found.multiple or 1.0, LONG)
    if length < SHORT / 2:
        span = f"simulations lasted {length:.1f} times the longest target only"
        yield f"{span}: queues that grow slowly went unseen, and goodputs may be less"


def _ahead(chosen: Rival, rival: Rival) -> Iterator[str]:
    """Where a baseline does better: because the least change was asked for, or because seeds differ."""
    if rival.searched > chosen.searched:
        fares = f"{rival.searched:.2f}x against {chosen.searched:.2f}x"
        yield f"taken as the nearest to what runs, not for its goodput: {rival.name} serves {fares}"
    elif rival.goodput.multiple > chosen.goodput.multiple:
        fares = f"{rival.goodput.multiple:.2f}x against {chosen.goodput.multiple:.2f}x"
        apart = rival.goodput.multiple - chosen.goodput.multiple
        within = apart <= rival.goodput.half_width + chosen.goodput.half_width
        told = "within their intervals" if within else "beyond their intervals"
        yield f"fresh seeds change the order: {rival.name} serves {fares}, {told}"
