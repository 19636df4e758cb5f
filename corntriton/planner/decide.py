"""Decides for a plan by simulation: a Task and Options in, the plan to deploy and its rivals out.

For the most served, the contest between plans for the whole cluster decides. For least cost, the program
finds the cheapest devices whose capacity suffices; plans for these devices compete. If the best of them meets
all targets it is the answer: cheaper devices are proven to lack the capacity. If not, dearer devices have
their turn: those that carry more than any plan for the last ones could.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from corntriton.planner.choose import PRECISION
from corntriton.planner.compare import exactly
from corntriton.planner.contest import LONG, SHORT, Contest, Finalist
from corntriton.planner.plan import Executor, Plan
from corntriton.planner.planning import Options, Planned, make_plan, try_plan
from corntriton.planner.rivals import Rival, notes_of, rival_of
from corntriton.planner.search import at_multiple
from corntriton.planner.task import Task

ROUNDS = 16  # sets of devices that are tried
AGAIN = 6  # of the topologies for some devices, how many are tried for dearer ones
CLEARLY = 0.95  # a rough goodput below this is no goodput of 1
CAUTION = 0.92  # of the capacity that a shortfall asks for, so as not to leap over cheaper devices
LEAST_CHANGE = "least change"


@dataclass(frozen=True)
class Decision:
    """The plan to deploy, and what it was chosen from.

    Attributes:
        planned: With its predictions filled in.
        chosen: The plan as it fares.
        rivals: The baselines.
        compared: How many plans there were.
    """

    planned: Planned
    chosen: Rival
    rivals: tuple[Rival, ...]
    compared: int


def decide(task: Task, options: Options, seed: int = 0) -> Decision:
    """The best plan by simulation.

    Raises:
        UserError: Nothing can carry the workload, whatever the targets.
    """
    started_s = time.perf_counter()
    if options.goal == "served":
        contest = Contest(task, options, seed)
        contest.run()
        winner = next(iter(contest.settle()), None)
        proof = winner.planned if winner else make_plan(task, options)
    else:
        contest, winner, proof = _cheapest_in_time(task, options, seed)
    assert winner is not None  # else make_plan has said why there is none
    found = _decision(contest, winner, proof, seed)
    return replace(found, planned=replace(found.planned, seconds=time.perf_counter() - started_s))


def not_simulated(planned: Planned) -> Planned:
    """The plan with a note that nobody knows how it fares."""
    if not any(demand.targets for demand in planned.plan.demands):
        return planned
    note = "not simulated: made for capacity; whether latency targets are met is not known"
    return replace(planned, plan=replace(planned.plan, notes=(*planned.plan.notes, note)))


def _cheapest_in_time(task: Task, options: Options, seed: int) -> tuple[Contest, Finalist | None, Planned]:
    """The contest for the cheapest devices that meet the targets, who wins it, and the proof of their cost.

    Where none meet them, the contest is for all devices. What proves the cost keeps the question of `least`.
    """
    least = make_plan(task, replace(options, thorough=False))
    at: Planned | None = least
    again: list[Finalist] = []
    for _ in range(ROUNDS):
        if at is None:
            break
        limit = exactly(at.plan.totals.devices, task.cluster)
        contest = Contest(task, replace(options, device_limit=limit), seed)
        if options.running is not None and at is least:
            contest.admit(LEAST_CHANGE, least, options)
        contest.run(again)
        again = contest.leaders(AGAIN)
        if again and again[0].rough >= CLEARLY and _meets(contest.lead()):
            contest.settle()
            return contest, _winner(contest, options), at
        at = _dearer(task, options, contest, least)
    contest = Contest(task, options, seed)
    contest.run(again)
    return contest, next(iter(contest.settle()), None), least


def _dearer(task: Task, options: Options, contest: Contest, least: Planned) -> Planned | None:
    """The cheapest plan with more capacity than these devices have; much more, if they fall far short."""
    rough = max((one.rough for one in contest.finalists), default=1.0)
    multiple = contest.capacity * max(1.0001, CAUTION / max(rough, 1e-3))
    more = replace(task, demands=tuple(at_multiple(task.demands, multiple)))
    planned = try_plan(more, replace(options, thorough=False))
    if planned is None:
        return None
    objective = replace(planned.plan.objective, multiple=multiple)
    return replace(least, plan=replace(planned.plan, objective=objective))


def _meets(one: Finalist | None) -> bool:
    """Whether all targets are met at the workload's rates, with every seed."""
    return bool(one and one.goodput and one.goodput.least >= 1)


def _winner(contest: Contest, options: Options) -> Finalist:
    """The largest goodput; if a plan is running, the least change among those that meet all targets."""
    settled = contest.settled()
    if options.running is None:
        return settled[0]
    return min(settled, key=lambda one: (not _meets(one), _changes(one.planned.plan)))


def _changes(plan: Plan) -> float:
    return next((stage.value for stage in plan.objective.stages if stage.name == "changes"), 0.0)


def _decision(contest: Contest, winner: Finalist, proof: Planned, seed: int) -> Decision:
    plan = winner.planned.plan
    served = proof.plan.objective.goal == "served"
    made_for = next(iter(plan.predicted.values())).rate_hz / plan.demands[0].rate_hz
    at = min(made_for if served else 1.0, contest.again(winner).multiple) or 1.0
    chosen = rival_of(winner, contest.again(winner), at, seed, LONG)
    rivals = tuple(
        replace(
            chosen if one.planned is winner.planned else rival_of(one, contest.again(one), at, seed, SHORT),
            name=name,
        )
        for name, one in contest.baselines().items()
    )
    if not served:
        plan = _for_the_workload(plan, proof, made_for)
    tried = f"the best of {contest.tried} plans for these devices when simulated: {winner.topology}"
    notes = (*plan.notes, tried, *notes_of(winner, chosen, rivals, plan))
    plan = Plan.from_json(replace(_with_predictions(plan, chosen), notes=notes).to_json())
    return Decision(replace(proof, plan=plan), chosen, rivals, contest.tried)


def _for_the_workload(plan: Plan, proof: Planned, made_for: float) -> Plan:
    """A plan that was made to serve the most, told as one for the workload at least cost."""
    proven = proof.plan.objective
    cost = replace(proven.stages[0], value=plan.totals.cost_per_hour)
    gap = max(cost.value - cost.bound, 0.0) / max(cost.value, 1e-9)
    cost = replace(cost, gap=gap if gap > PRECISION else 0.0)
    stages = (cost, *(stage for stage in plan.objective.stages if stage.name != "cost"))
    objective = replace(
        proven,
        value=cost.value,
        gap=cost.gap,
        finished=proven.finished and plan.objective.finished,
        stages=stages,
    )
    return replace(
        plan,
        objective=objective,
        executors=tuple(_relieved(executor, made_for) for executor in plan.executors),
        predicted={name: replace(p, rate_hz=p.rate_hz / made_for) for name, p in plan.predicted.items()},
    )


def _relieved(executor: Executor, multiple: float) -> Executor:
    usage = tuple(replace(usage, used=usage.used / multiple) for usage in executor.usage)
    return replace(executor, usage=usage)


def _with_predictions(plan: Plan, chosen: Rival) -> Plan:
    predicted = {}
    for name, known in plan.predicted.items():
        p50_s, p99_s = chosen.times_s.get(name, (None, None))
        predicted[name] = replace(known, p50_s=p50_s, p99_s=p99_s, goodput_hz=chosen.goodput.rates_hz[name])
    return replace(plan, predicted=predicted)
