"""Makes plans: a Task and Options in, a Plan out, with the question it answers at hand for what-ifs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from corntriton.errors import UserError
from corntriton.planner.advice import advise
from corntriton.planner.assemble import assemble
from corntriton.planner.candidates import Components, best_configs, find_candidates, prune, useful_sets
from corntriton.planner.groups import class_groups
from corntriton.planner.limits import SLACK_SHARE, Limits, fastest_stages, find_limits, slack
from corntriton.planner.milp import Question
from corntriton.planner.plan import Objective, Plan
from corntriton.planner.running import running_instances
from corntriton.planner.search import Solution, search
from corntriton.planner.sizing import Candidate
from corntriton.planner.solver import Clock, NoSolutionError
from corntriton.planner.task import Task

GAP = 1e-6  # relative: plans this close in cost are equally good


@dataclass(frozen=True)
class Options:
    """How to plan.

    Attributes:
        goal: Least cost for the workload, or the most of the workload on the cluster as it is.
        time_limit_s: For the whole search.
        gap: A stage ends when it is proven to be this close to the best, as a share.
        running: A plan that is running; of equally cheap plans, the one nearest to it is taken.
        slack_share: Of the time that targets leave, the share that a full batch may take; see `limits`.
        sets: The only sets of components to consider; None: all that are useful.
        one_topology: Each component belongs to one set only.
        one_config: All executors of one set on one device type are alike, whatever visits them: full copies.
        device_limit: Most devices to use, by type.
        thorough: Where nodes have to be told apart to see what moves between them, look a second time for
            instances of the same cost that move less.
    """

    goal: Literal["cost", "served"] = "cost"
    time_limit_s: float = 60.0
    gap: float = GAP
    running: Plan | None = None
    slack_share: float = SLACK_SHARE
    sets: Sequence[Components] | None = None
    one_topology: bool = False
    one_config: bool = False
    device_limit: Mapping[str, int] | None = None
    thorough: bool = True


@dataclass(frozen=True)
class Planned:
    """A plan, and what is needed to ask what if.

    Attributes:
        plan: The plan.
        question: What the solver was asked.
        considered: Candidates before dominated ones went.
        seconds: What the search took; never part of the plan.
    """

    plan: Plan
    question: Question
    considered: int
    seconds: float


def make_plan(task: Task, options: Options) -> Planned:
    """The best plan for a task.

    Raises:
        UserError: Nothing can carry the workload, with what is short and what would mend it; or the time
            limit passed before any plan was found.
    """
    clock = Clock(options.time_limit_s)
    question, considered = make_question(task, options)
    try:
        return _planned(task, options, question, considered, clock)
    except NoSolutionError as error:
        raise UserError(advise(task, question, error.proven, options.time_limit_s)) from None


def try_plan(task: Task, options: Options) -> Planned | None:
    """The best plan for a task; None where there is none, or none was found in time."""
    question, considered = make_question(task, options)
    try:
        return _planned(task, options, question, considered, Clock(options.time_limit_s))
    except NoSolutionError:
        return None


def _planned(task: Task, options: Options, question: Question, considered: int, clock: Clock) -> Planned:
    solution = search(question, clock, options.gap, options.thorough)
    objective = _objective(options, question, solution)
    notes = list(_notes(task))
    if options.running and not question.running:
        notes.append("nothing of the running plan can stay: its components, devices or profiles are others")
    plan = assemble(task, solution, objective, tuple(notes), options.running)
    return Planned(plan, question, considered, clock.spent_s)


def make_question(task: Task, options: Options) -> tuple[Question, int]:
    """What the solver is asked, and how many candidates there were before pruning."""
    limits = find_limits(task.demands, task.library, options.slack_share)
    sets = useful_sets(task.demands) if options.sets is None else options.sets
    found = _candidates(task, sets, limits)
    running = running_instances(task, options.running, limits) if options.running else None
    kept = prune(found, same_set=options.one_topology)
    if options.one_config:
        kept = list(best_configs(kept, limits))
    if running:
        keys = {candidate.key for candidate in running}
        kept = [*(candidate for candidate in kept if candidate.key not in keys), *running]
    question = Question(
        task.demands,
        kept,
        class_groups(task.cluster),
        task.cluster,
        task.workload.ceiling,
        maximise=options.goal == "served",
        device_limit=options.device_limit,
        running=_by_index(running, kept) if running is not None else None,
        one_topology=options.one_topology,
    )
    return question, len(found)


def _candidates(task: Task, sets: Iterable[Components], limits: Limits) -> list[Candidate]:
    return find_candidates(sets, task.components, task.library, task.cluster, task.workload.hints, limits)


def _by_index(
    running: Mapping[Candidate, Mapping[str, int]], candidates: Sequence[Candidate]
) -> dict[tuple[int, str], int]:
    return {
        (candidates.index(candidate), node): count
        for candidate, nodes in running.items()
        for node, count in nodes.items()
    }


def _objective(options: Options, question: Question, solution: Solution) -> Objective:
    first = solution.stages[0]
    finished = all(stage.finished for stage in solution.stages)
    return Objective(
        options.goal, first.value, first.bound, first.gap, finished, len(question.candidates), solution.stages
    )


def _notes(task: Task) -> Iterable[str]:
    for demand in task.demands:
        missing_s = -slack(demand, fastest_stages(demand, task.library))
        if missing_s > 0:
            yield f"{demand.name}: a latency target is {missing_s:.3g} s below its time on empty devices"
    assumed = sorted({p.component for p in task.profiles.profiles if p.provenance.how == "assumed"})
    if assumed:
        yield f"profiles of {', '.join(assumed)} are assumed, not measured"
