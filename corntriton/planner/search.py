"""Finds the best instances, placed and routed, with proof: a Question in, a Solution out.

    class counts (choose) ──place──> nodes ──best_routes──> all carried? done
          ▲                                     │ no
          └── a cut, or single nodes ───────────┘

Counts per node class are chosen first, in the hope that what can stay on a node stays there; so the bound
holds for every placement. If the routes then do not carry the demand, the hope was wrong: few nodes are
then told apart in the program itself; of many nodes less is hoped, and the gap says what that cost. A path
that forks and joins can need more than the program saw: then a cut goes back that excludes the counts.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from corntriton.planner.choose import Choice, Chooser, stage_of
from corntriton.planner.demand import Demand
from corntriton.planner.groups import node_groups
from corntriton.planner.milp import Cell, Cut, Question
from corntriton.planner.placement import EXACT_UP_TO, Placed, place
from corntriton.planner.plan import Stage
from corntriton.planner.routes import best_routes
from corntriton.planner.site import Site
from corntriton.planner.sizing import TIME, Candidate
from corntriton.planner.solver import Clock, NoSolutionError, Outcome

ROUNDS = 30
FEW_CELLS = 64  # candidates x nodes up to which a second look is at all candidates, not at those in use


@dataclass(frozen=True)
class Solution:
    """What was found.

    Attributes:
        placed: Instances on nodes, with routes.
        stages: In order, with gaps against bounds that hold for every plan over the candidates.
        served: The multiple of the workload that was planned for.
    """

    placed: Placed
    stages: tuple[Stage, ...]
    served: float


def search(question: Question, clock: Clock, gap: float, thorough: bool = True) -> Solution:
    """The best instances and routes.

    Args:
        question: What is asked.
        clock: Ends the search.
        gap: A stage ends when it is proven to be this close to the best, as a share.
        thorough: Look twice where that may save bytes.

    Raises:
        NoSolutionError: Nothing carries the workload, or nothing was found in time.
    """
    solution, question = _first_solution(question, clock, gap)
    moves_more = thorough and any(
        stage.name in ("changes", "bytes") and stage.gap for stage in solution.stages
    )
    if moves_more and _can_tell_apart(question):
        # Other counts of the same cost may fit the nodes better.
        try:
            other, _ = _first_solution(_second_look(question, solution), clock, gap, solution.stages)
        except NoSolutionError as error:
            return _unfinished(solution) if error.timed_out else solution
        if _values(other) < _values(solution):
            return other
    return solution


def _second_look(question: Question, solution: Solution) -> Question:
    """The question with its nodes told apart; of many candidates, only those that the solution has."""
    apart = _told_apart(question)
    if len(question.candidates) * len(apart.groups) <= FEW_CELLS:
        return apart
    return replace(apart, only=frozenset(c for c, _ in solution.placed.site.counts))


def _first_solution(
    question: Question, clock: Clock, gap: float, bounds: tuple[Stage, ...] = ()
) -> tuple[Solution, Question]:
    """The first counts whose routes carry everything, and the question that led to them.

    Args:
        question: What is asked.
        clock: Ends the search.
        gap: See `search`.
        bounds: Stages whose bounds hold, for a question that leaves out candidates.
    """
    for _ in range(ROUNDS):
        choice = Chooser(question, clock, gap).choose()
        bounds = choice.stages if question.locality == 1 and question.only is None else bounds
        wanted = replace(question, demands=at_multiple(question.demands, choice.served))
        placed = place(wanted, choice.counts, clock)
        if placed is not None and placed.routing.complete:
            return Solution(placed, _proven(bounds, choice, placed), choice.served), question
        cut = _cut(question, wanted, choice.counts)
        question = replace(question, cuts=(*question.cuts, cut)) if cut else _narrower(question)
    raise NoSolutionError(proven=False)


def _unfinished(solution: Solution) -> Solution:
    """The solution, of which time ran out to see whether it can be bettered."""
    return replace(solution, stages=tuple(replace(stage, finished=False) for stage in solution.stages))


def _values(solution: Solution) -> list[float]:
    """Stage by stage, less is better; what solvers cannot tell apart is equal."""
    sign = {"served": -1.0}
    return [round(sign.get(stage.name, 1.0) * stage.value, 4) for stage in solution.stages]


def at_multiple(demands: Sequence[Demand], multiple: float) -> list[Demand]:
    """The demands at a multiple of their rates."""
    return [replace(demand, rate_hz=demand.rate_hz * multiple) for demand in demands]


def _proven(bounds: Sequence[Stage], choice: Choice, placed: Placed) -> tuple[Stage, ...]:
    """The stages with the values of the placed plan, and the bounds that hold for every plan."""
    known = {stage.name: stage.bound for stage in bounds}
    values = {stage.name: stage.value for stage in choice.stages}
    if "changes" in values:
        values["changes"] = placed.changes
    values["bytes"] = placed.routing.weighted_megabytes
    finished = {stage.name: stage.finished for stage in choice.stages}
    stages = [
        stage_of(name, Outcome(value, known.get(name, 0.0), finished.get(name, choice.in_time)))
        for name, value in values.items()
    ]
    busiest = placed.routing.busiest
    return (*stages, stage_of("busiest link", Outcome(busiest, busiest, True)))


def _cut(question: Question, wanted: Question, counts: Mapping[Cell, int]) -> Cut | None:
    """What every choice of instances satisfies and these do not; None if the routes exist and placing failed.

    The duals of the routes' program over these instances: carrying all needs that capacities, at their
    prices, add up to what the demand is worth. An instance of a cell that is not open yet is worth at most
    what the dearest request through it is.
    """
    site = Site(wanted.demands, question.candidates, question.groups, counts, question.ceiling)
    routing = best_routes(site)
    if routing.complete:
        return None
    prices = routing.prices
    weights = {}
    for c, candidate in enumerate(question.candidates):
        for g, group in enumerate(question.groups):
            if (c, g) in counts:
                price = -sum(prices.get(((c, g), resource), 0.0) for resource in candidate.uses)
            elif group.node_class in candidate.node_classes:
                price = _most_worth(question.demands, candidate, prices)
            else:
                continue
            weights[c, g] = question.ceiling * max(price, 0.0)
    worth = sum(prices[t] * demand.rate_hz for t, demand in enumerate(question.demands))
    links = sum(prices.get(link, 0.0) * limit for link, limit in site.links().items())
    return Cut(weights, worth * (1 - 1e-9), links)


def _most_worth(demands: Sequence[Demand], candidate: Candidate, prices: Mapping[Hashable, float]) -> float:
    times = candidate.uses[TIME]
    return max(
        (
            prices[t] / (invocation.runs * times[invocation.job])
            for t, demand in enumerate(demands)
            for invocation in demand.invocations
            if candidate.runs(invocation.job)
        ),
        default=0.0,
    )


def _narrower(question: Question) -> Question:
    """The question with fewer illusions about what stays on a node."""
    if _can_tell_apart(question):
        return _told_apart(question)
    if question.locality == 0:
        raise NoSolutionError(proven=False)
    return replace(question, locality=0.5 if question.locality == 1 else 0.0)


def _can_tell_apart(question: Question) -> bool:
    nodes = sum(group.size for group in question.groups)
    return nodes <= EXACT_UP_TO and len(question.groups) < nodes


def _told_apart(question: Question) -> Question:
    """The question with every node a group of its own; cuts and running instances go along."""
    groups = node_groups(question.cluster)
    home = {node: g for g, group in enumerate(question.groups) for node in group.nodes}

    def split(weights: Mapping[Cell, float]) -> dict[Cell, float]:
        return {
            (c, h): weights[c, home[group.nodes[0]]]
            for h, group in enumerate(groups)
            for c in range(len(question.candidates))
            if (c, home[group.nodes[0]]) in weights
        }

    cuts = tuple(replace(cut, weights=split(cut.weights)) for cut in question.cuts)
    return replace(question, groups=groups, cuts=cuts)
