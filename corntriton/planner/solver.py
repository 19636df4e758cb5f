"""Runs HiGHS on a PuLP problem; a problem in, value, bound and whether time ran out, out."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import highspy
import pulp

from corntriton.errors import CorntritonError

FEASIBILITY_TOLERANCE = 1e-7

# Restarts, and heuristics that solve programs within the program, took two thirds of the time of the plans of
# examples/paper and of 2048 devices, and found nothing sooner (HiGHS 1.15; older versions ignore what they do
# not know).
_IN_VAIN = {
    "mip_allow_restart": False,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_rens": False,
}


class NoSolutionError(Exception):
    """The constraints contradict each other, or the solver was stopped before it found anything.

    Attributes:
        proven: The constraints contradict each other, for sure.
        timed_out: Time ran out: another run may find something.
    """

    def __init__(self, proven: bool, timed_out: bool = False) -> None:
        super().__init__("infeasible" if proven else "nothing found")
        self.proven = proven
        self.timed_out = timed_out


@dataclass(frozen=True)
class Outcome:
    """Of a solve that found something.

    Attributes:
        value: Of the objective.
        bound: No solution is better.
        finished: Time did not run out: the same call gives the same answer again.
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


def solve(
    problem: pulp.LpProblem, time_limit_s: float, gap: float = 0.0, nodes: int | None = None
) -> Outcome:
    """Solves in place; one thread and a fixed seed, so that the same problem gives the same answer.

    Args:
        problem: What to solve.
        time_limit_s: Ends the search.
        gap: The search may end when it is this close to the best, as a share.
        nodes: Of the search tree: ends the search after so many, on any machine with the same result.

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
        callbackTuple=None if nodes is None else (partial(_stop_at, nodes), None),
        callbacksToActivate=[] if nodes is None else [highspy.cb.HighsCallbackType.kCallbackMipInterrupt],
        **_IN_VAIN,
    )
    problem.solve(solver)
    status = problem.solverModel.getModelStatus().name
    if problem.sol_status == pulp.LpSolutionInfeasible or problem.status == pulp.LpStatusInfeasible:
        raise NoSolutionError(proven=True)
    if problem.sol_status not in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
        if status == "kTimeLimit":
            raise NoSolutionError(proven=False, timed_out=True)
        raise CorntritonError(f"HiGHS ended with {status}")
    if math.isinf(problem.solverModel.getInfo().objective_function_value):  # interrupted before it had any
        raise NoSolutionError(proven=False)
    value = float(pulp.value(problem.objective) or 0.0)
    solved = status == "kOptimal" and not problem.isMIP()
    return Outcome(value, value if solved else _bound(problem, value), finished=status != "kTimeLimit")


def _stop_at(nodes: int, _kind: Any, _message: str, seen: Any, answer: Any, _data: Any) -> None:
    """HiGHS asks this now and then; PuLP knows no name for what HiGHS's own limit of nodes ends with."""
    if seen.mip_node_count >= nodes:
        answer.user_interrupt = True


def _bound(problem: pulp.LpProblem, value: float) -> float:
    """The solver's bound, in the problem's own sense; HiGHS minimises, and knows no constant."""
    info: Any = problem.solverModel.getInfo()
    bound = float(info.mip_dual_bound)
    if problem.sense == pulp.LpMaximize:
        return max(float(problem.objective.constant) - bound, value)
    return min(float(problem.objective.constant) + bound, value)
