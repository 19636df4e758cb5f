"""Runs HiGHS on a PuLP problem; a problem in, value, bound and whether time ran out, out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import pulp

from corntriton.errors import CorntritonError

FEASIBILITY_TOLERANCE = 1e-7


class NoSolutionError(Exception):
    """The constraints contradict each other, or time ran out before anything was found.

    Attributes:
        proven: The constraints contradict each other, for sure.
    """

    def __init__(self, proven: bool) -> None:
        super().__init__("infeasible" if proven else "time limit")
        self.proven = proven


@dataclass(frozen=True)
class Outcome:
    """Of a solve that found something.

    Attributes:
        value: Of the objective.
        bound: No solution is better.
        finished: The solver stopped by itself: value is optimal within the gap that was asked for.
    """

    value: float
    bound: float
    finished: bool


@dataclass
class Clock:
    """Time left for a whole search; ends `seconds` after it was made."""

    seconds: float
    started: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        """Seconds left, at least 0.1 so that a solver has a chance."""
        return max(self.seconds - self.spent_s, 0.1)

    @property
    def spent_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started


def solve(problem: pulp.LpProblem, time_limit_s: float, gap: float = 0.0) -> Outcome:
    """Solves in place; one thread and a fixed seed, so that the same problem gives the same answer.

    Raises:
        NoSolutionError: Nothing satisfies the constraints, or nothing was found in time.
        CorntritonError: The solver gave up.
    """
    solver = pulp.HiGHS(
        msg=False,
        timeLimit=time_limit_s,
        gapRel=gap,
        gapAbs=1e-9,
        threads=1,
        random_seed=1,
        primal_feasibility_tolerance=FEASIBILITY_TOLERANCE,
        mip_feasibility_tolerance=FEASIBILITY_TOLERANCE,
    )
    problem.solve(solver)
    if problem.sol_status == pulp.LpSolutionInfeasible or problem.status == pulp.LpStatusInfeasible:
        raise NoSolutionError(proven=True)
    if problem.sol_status not in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
        if problem.solverModel.getModelStatus().name == "kTimeLimit":
            raise NoSolutionError(proven=False)
        raise CorntritonError(f"HiGHS ended with {problem.solverModel.getModelStatus().name}")
    value = float(pulp.value(problem.objective) or 0.0)
    finished = problem.solverModel.getModelStatus().name == "kOptimal"
    return Outcome(value, value if finished and not problem.isMIP() else _bound(problem, value), finished)


def _bound(problem: pulp.LpProblem, value: float) -> float:
    """The solver's bound, in the problem's own sense; HiGHS minimises, and knows no constant."""
    info: Any = problem.solverModel.getInfo()
    bound = float(info.mip_dual_bound)
    if problem.sense == pulp.LpMaximize:
        return max(float(problem.objective.constant) - bound, value)
    return min(float(problem.objective.constant) + bound, value)
