"""Chooses between plans by simulating them: a Task and Options in, plans with their goodput out, best first.

    topologies ──make_plan──> plans ──short simulations──> the leading ones, with other batches ──long ones──> ranked

The program behind `make_plan` knows capacities and no queues: it charges every component of a shared
executor at its full batch. A component with little to do runs small batches, and takes more of the devices
it shares; a queue makes requests late that the capacity would carry. So the cheapest plan on paper may miss
its targets, and one of another topology keep them. Only the simulation sees that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from corntriton.errors import UserError
from corntriton.planner.candidates import monoliths
from corntriton.planner.goodput import Goodput, goodput
from corntriton.planner.plan import Executor, Plan, Predicted
from corntriton.planner.planning import Options, Planned, make_plan
from corntriton.planner.simulate import simulate
from corntriton.planner.task import Task

AT_CAPACITY = 0.95  # of the bound on the goodput: larger batches may raise it; else smaller ones
LARGER, SMALLER = 0.8, 0.3  # shares of the time that targets leave which a full batch may then take
RATE_ROUNDS = 4  # how often a plan that is late is made again for a higher rate
LEADING = 2  # how many plans are looked at more closely
SHORT, LONG = 1200, 4000  # requests of a simulation


@dataclass(frozen=True)
class Finalist:
    """A plan and how it fares when simulated.

    Attributes:
        name: Its topology.
        planned: The plan, for the rates that were asked for, with its predictions filled in.
        goodput: Of it.
    """

    name: str
    planned: Planned
    goodput: Goodput

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.planned.plan


def finalists(task: Task, options: Options, seed: int = 0) -> list[Finalist]:
    """Plans of several topologies, ranked by what simulations say of them.

    Of a goal of least cost, those that meet all targets come first, the cheapest of them leading; of a goal
    of most served, those with the largest goodput.

    Raises:
        UserError: No plan carries the workload.
    """
    search = _Search(task, options, seed)
    for name, topology in _topologies(task, options).items():
        search.add(name, topology)
    for one, topology in search.leading():
        at_capacity = one.goodput.multiple > AT_CAPACITY * one.goodput.bound
        search.add(one.name, replace(topology, slack_share=LARGER if at_capacity else SMALLER))
    return search.ranked()


def _topologies(task: Task, options: Options) -> dict[str, Options]:
    return {
        "any mix": options,
        "single topology": replace(options, one_topology=True),
        "monolith": replace(options, sets=monoliths(task.demands)),
        "full disaggregation": replace(options, sets=[(name,) for name in sorted(task.components)]),
    }


class _Search:
    """What was found so far."""

    def __init__(self, task: Task, options: Options, seed: int) -> None:
        self._task = task
        self._options = options
        self._seed = seed
        self._found: list[tuple[Finalist, Options]] = []
        self._problem: UserError | None = None

    def add(self, name: str, options: Options) -> None:
        """Makes a plan and simulates it; one that was there before, or cannot be made, is passed over."""
        try:
            in_time = options.goal == "cost"
            planned = _in_time(self._task, options, self._seed) if in_time else make_plan(self._task, options)
        except UserError as error:
            self._problem = self._problem or error
            return
        if all(planned.plan.executors != one.plan.executors for one, _ in self._found):
            self._found.append((self._judged(name, planned, SHORT, seeds=2), options))

    def leading(self) -> list[tuple[Finalist, Options]]:
        """The best so far."""
        self._found.sort(key=lambda entry: self._rank(entry[0]))
        return self._found[:LEADING]

    def ranked(self) -> list[Finalist]:
        """All, the leading ones judged again by long simulations, and the first with its predictions."""
        if not self._found and self._problem:
            raise self._problem
        fine = [self._judged(one.name, one.planned, LONG, seeds=3) for one, _ in self.leading()]
        fine.sort(key=self._rank)
        rest = [one for one, _ in self._found[LEADING:]]
        return [_filled(fine[0], self._seed), *fine[1:], *rest]

    def _judged(self, name: str, planned: Planned, requests: int, seeds: int) -> Finalist:
        found = goodput(planned.plan, seed=self._seed, requests=requests, seeds=seeds)
        return Finalist(name, planned, found)

    def _rank(self, one: Finalist) -> tuple[float, ...]:
        if self._options.goal == "served":
            return (-one.goodput.multiple,)
        late = one.goodput.multiple < 1
        return (late, 0.0 if late else one.plan.totals.cost_per_hour, -one.goodput.multiple)


def _in_time(task: Task, options: Options, seed: int) -> Planned:
    """A plan that meets the targets when simulated, made for a higher rate if that takes it.

    Raises:
        UserError: The cluster does not carry the rate that it would take; or not even the workload.
    """
    multiple = 1.0
    for _ in range(RATE_ROUNDS):
        planned = _for_multiple(task, options, multiple)
        reached = goodput(planned.plan, seed=seed, requests=SHORT, seeds=2).multiple
        if reached >= 1:
            return planned
        multiple *= min(max(1.05 / max(reached, 1e-9), 1.05), 2.0)
    return planned


def _for_multiple(task: Task, options: Options, multiple: float) -> Planned:
    """The plan for a multiple of the rates, told as a plan for the rates themselves."""
    if multiple == 1:
        return make_plan(task, options)
    more = replace(task, demands=tuple(replace(d, rate_hz=d.rate_hz * multiple) for d in task.demands))
    planned = make_plan(more, options)
    plan = planned.plan
    return replace(
        planned,
        plan=replace(
            plan,
            demands=task.demands,
            executors=tuple(_relieved(executor, multiple) for executor in plan.executors),
            served_multiple=plan.served_multiple * multiple,
            predicted={
                name: replace(known, rate_hz=known.rate_hz / multiple)
                for name, known in plan.predicted.items()
            },
            notes=(*plan.notes, f"made for {multiple:.3g}x the rate, to meet the targets when simulated"),
        ),
    )


def _relieved(executor: Executor, multiple: float) -> Executor:
    return replace(
        executor, usage=tuple(replace(usage, used=usage.used / multiple) for usage in executor.usage)
    )


def _filled(one: Finalist, seed: int) -> Finalist:
    """The finalist with p50, p99 and goodput of each request type in its plan, at the planned rates."""
    plan = one.plan
    rate = sum(known.rate_hz for known in plan.predicted.values()) / sum(d.rate_hz for d in plan.demands)
    seen = simulate(plan, seed=seed, requests=LONG, rate_multiple=min(rate, one.goodput.multiple) or rate)
    predicted: dict[str, Predicted] = {}
    for name, known in plan.predicted.items():
        completion_s = seen.outcomes[name].completion_s
        p50, p99 = np.percentile(completion_s, [50, 99]) if len(completion_s) else (None, None)
        predicted[name] = replace(known, p50_s=p50, p99_s=p99, goodput_hz=one.goodput.rates_hz[name])
    return replace(one, planned=replace(one.planned, plan=replace(plan, predicted=predicted)))
