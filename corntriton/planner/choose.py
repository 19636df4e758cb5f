"""Chooses instances for a question, objective by objective: a Question in, counts and proven stages out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pulp

from corntriton.planner.milp import Cell, Network, Question, flows_by_invocation, flows_by_job
from corntriton.planner.moving import Moving, may_fill_a_link
from corntriton.planner.plan import Stage
from corntriton.planner.solver import Clock, NoSolutionError, Outcome, solve

# How far a later stage may fall behind an earlier one's value: what the solver cannot tell apart.
TOLERANCE = 1e-6
PRECISION = 1e-5  # gaps below are the tolerances of this and earlier stages
# Of the tree that is searched for the fewest bytes moved. A proof could take minutes, for megabytes on links
# of gigabytes; the gap says how far it went.
BYTES_NODES = 200
UNITS = {
    "cost": "per hour",
    "served": "x workload",
    "changes": "instances",
    "bytes": "weighted MB/s",
    "busiest link": "share",
}


@dataclass(frozen=True)
class Choice:
    """Instances for a question.

    Attributes:
        counts: By cell.
        stages: In order.
        served: The multiple of the workload that was planned for.
        in_time: No stage ran out of time before it found anything.
    """

    counts: Mapping[Cell, int]
    stages: tuple[Stage, ...]
    served: float = 1.0
    in_time: bool = True


def stage_of(name: str, outcome: Outcome) -> Stage:
    """The record of a stage."""
    gap = abs(outcome.value - outcome.bound) / max(abs(outcome.value), 1e-9)
    gap = 0.0 if gap < PRECISION or abs(outcome.value - outcome.bound) < PRECISION else gap
    return Stage(name, UNITS[name], outcome.value, outcome.bound, gap, outcome.finished)


class Chooser:
    """Runs the stages of one question, each keeping what the earlier ones reached."""

    def __init__(self, question: Question, clock: Clock, gap: float) -> None:
        self._question = question
        self._clock = clock
        self._gap = gap
        self._stages: list[Stage] = []
        self._counts: dict[Cell, int] = {}
        self._served = 1.0
        self._in_time = True
        self._edges = any(edge.nbytes for demand in question.demands for edge in demand.edges)
        self._heed_links = may_fill_a_link(question.demands, question.groups)

    def choose(self, moving: bool = True) -> Choice:
        """All stages.

        Args:
            moving: Also minimise what moves; otherwise only what comes before it.

        Raises:
            NoSolutionError: No counts satisfy the constraints, or none were found in time.
        """
        network = self._network(self._heed_links)
        if self._question.maximise:
            network = self._serve_most(network)
        self._minimise("cost", network, lambda: network.cost, share=0.6)
        if self._question.running is not None:
            self._minimise("changes", network, network.changes, share=0.5)
        if moving and self._edges:
            self._move_least(network)
        return Choice(self._counts, tuple(self._stages), self._served, self._in_time)

    def _network(self, heed_links: bool) -> Network:
        if not heed_links:
            return Network(self._question, flows_by_job(self._question.demands))
        network = Network(self._question, flows_by_invocation(self._question.demands))
        self._moving = Moving(network)
        return network

    def _serve_most(self, network: Network) -> Network:
        """Maximises the multiple; again with the links in mind if they might fill at that multiple."""
        outcome = self._solve(network, -1 * network.m, share=0.5)
        self._served = -outcome.value
        if not self._heed_links and may_fill_a_link(
            self._question.demands, self._question.groups, self._served
        ):
            self._heed_links = True
            network = self._network(True)
            outcome = self._solve(network, -1 * network.m, share=0.5)
            self._served = -outcome.value
        if self._served < TOLERANCE:
            raise NoSolutionError(proven=True)
        self._stages.append(stage_of("served", Outcome(self._served, -outcome.bound, outcome.finished)))
        self._served *= 1 - TOLERANCE
        network.m.lowBound = network.m.upBound = self._served
        self._counts = network.counts()
        return network

    def _minimise(
        self,
        name: str,
        network: Network,
        objective: Callable[[], pulp.LpAffineExpression],
        share: float,
        nodes: int | None = None,
    ) -> None:
        expression = objective()
        try:
            outcome = self._solve(network, expression, share, nodes)
        except NoSolutionError as error:
            if not self._counts:
                raise
            self._in_time &= not error.timed_out
            return
        self._stages.append(stage_of(name, outcome))
        self._counts = network.counts()
        network.problem += expression <= outcome.value * (1 + TOLERANCE) + TOLERANCE

    def _move_least(self, network: Network) -> None:
        """The last stage; where links did not matter so far, in a program that has them."""
        if not self._heed_links:
            network = self._network(True)
            self._keep(network)
        moved = self._moving.weighted_megabytes
        self._minimise("bytes", network, lambda: moved, share=0.8, nodes=BYTES_NODES)

    def _keep(self, network: Network) -> None:
        for stage in self._stages:
            limit = stage.value * (1 + TOLERANCE) + TOLERANCE
            if stage.name == "served":
                network.m.lowBound = network.m.upBound = self._served
            elif stage.name == "cost":
                network.problem += network.cost <= limit
            elif stage.name == "changes":
                network.problem += network.changes() <= limit

    def _solve(
        self, network: Network, objective: pulp.LpAffineExpression, share: float, nodes: int | None = None
    ) -> Outcome:
        network.problem.setObjective(objective)
        return solve(network.problem, self._clock.left_s * share, self._gap, nodes)
