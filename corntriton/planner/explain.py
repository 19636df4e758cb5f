"""Answers why a component is where it is, by planning again without that freedom; numbers out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from corntriton.errors import Problem, UserError
from corntriton.planner.compare import Alternative, alternative_of
from corntriton.planner.curves import Curve
from corntriton.planner.limits import Limits, find_limits
from corntriton.planner.plan import Member, Plan
from corntriton.planner.planning import Options, Planned, make_question
from corntriton.planner.sizing import setting_of
from corntriton.planner.task import Task
from corntriton.spec.validation import choose
from corntriton.spec.workload import Hints, Pin


@dataclass(frozen=True)
class Home:
    """An executor that a component lives in.

    Attributes:
        executor: Its name.
        share: Of the component's runs, the share that it takes.
        max_batch: The component's limit there.
        largest_batch: The largest that was measured.
        why_batch: What keeps the limit below that, in words; None if nothing does.
        others: What the component lives with.
    """

    executor: str
    share: float
    max_batch: int
    largest_batch: int
    why_batch: str | None
    others: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """Why a component is where it is.

    Attributes:
        component: Its full name.
        homes: Where it lives.
        otherwise: What other choices would cost and serve.
    """

    component: str
    homes: tuple[Home, ...]
    otherwise: tuple[Alternative, ...]


def explain(task: Task, planned: Planned, options: Options, component: str) -> Explanation:
    """Why the component, by its full name, is where it is."""
    limits = find_limits(task.demands, task.library, options.slack_share)
    homes = tuple(_homes(planned.plan, task, component, limits))
    return Explanation(component, homes, tuple(_otherwise(task, planned, options, component)))


def find_component(task: Task, name: str) -> str:
    """The full name of a visited component.

    Raises:
        UserError: None has that name, or several.
    """
    found = [full for full in task.components if name in (full, full.partition("/")[2])]
    if len(found) != 1:
        fix = choose(name, sorted(task.components), "name one that a request type visits")
        raise UserError([Problem("plan", "--explain", f"{name!r} is no component of this plan", fix)])
    return found[0]


def _homes(plan: Plan, task: Task, component: str, limits: Limits) -> Iterator[Home]:
    runs: dict[str, float] = {}
    for demand in plan.demands:
        for route in plan.routes_of(demand.name):
            for invocation in demand.invocations:
                if invocation.component == component:
                    home = route.stops[invocation.id].executor
                    rate = demand.rate_hz * route.share * invocation.runs
                    runs[home] = runs.get(home, 0.0) + rate
    for name, rate in sorted(runs.items(), key=lambda item: -item[1]):
        executor = plan.executor(name)
        member = executor.member(component)
        curve = task.library.curve(component, setting_of(executor.device, member), member.beside)
        others = tuple(other for other in executor.components if other != component)
        why = _why_batch(limits, member, curve)
        yield Home(name, rate / sum(runs.values()), member.max_batch, curve.batches[-1], why, others)


def _why_batch(limits: Limits, member: Member, curve: Curve) -> str | None:
    """What keeps a batch limit below the largest that was measured."""
    if member.max_batch >= curve.batches[-1]:
        return None
    more = member.max_batch + 1
    jobs = limits.jobs_of(member.component)
    in_time = any(curve.latency_s(more, job.work) <= limits.latency_s[job] for job in jobs)
    return "memory" if in_time else "latency targets"


def _otherwise(task: Task, planned: Planned, options: Options, component: str) -> Iterator[Alternative]:
    """What it costs to deny the component its place: each alternative obeys one hint more."""
    devices = planned.plan.totals.devices
    hints = task.workload.hints
    others = [name for name in task.components if name != component]
    apart = tuple((component, other) for other in others)
    yield _with_hints(
        task, options, devices, "alone", hints.model_copy(update={"separate": hints.separate + apart})
    )
    for other in others:
        together = hints.model_copy(update={"colocate": (*hints.colocate, tuple(sorted((component, other))))})
        yield _with_hints(task, options, devices, f"always with {other}", together)
    for device in sorted({setting.device for setting in task.library.settings(component)}):
        if device in task.cluster.devices:
            pin = hints.pin.get(component, Pin()).model_copy(update={"device": device})
            pinned = hints.model_copy(update={"pin": {**hints.pin, component: pin}})
            yield _with_hints(task, options, devices, f"on {device} only", pinned)


def _with_hints(
    task: Task, options: Options, devices: Mapping[str, int], name: str, hints: Hints
) -> Alternative:
    other = replace(task, workload=task.workload.model_copy(update={"hints": hints}))
    return alternative_of(name, make_question(other, replace(options, running=None))[0], devices)
