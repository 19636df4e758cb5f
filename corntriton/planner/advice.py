"""Says why a workload cannot be served and what would mend it: an infeasible question in, problems out.

Re-solves answer: how much of the workload the cluster does carry; how many more devices would carry all of
it (the device limits made elastic, at the devices' cost); and, with the devices as they are, how much
faster links would have to be (the link limits made elastic).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil

import pulp

from corntriton.errors import Problem
from corntriton.planner.demand import Job
from corntriton.planner.milp import Network, Question, flows_by_invocation
from corntriton.planner.moving import MEGABYTE, Moving
from corntriton.planner.search import search
from corntriton.planner.solver import Clock, NoSolutionError, solve
from corntriton.planner.task import Task
from corntriton.spec.cluster import GIB

TIME_S = 20.0  # for each re-solve
MOST_MORE = 100  # times the cluster: beyond, it is not devices that are missing


def advise(task: Task, question: Question, proven: bool, time_limit_s: float) -> list[Problem]:
    """What is wrong with the workload or the cluster, and what would mend it."""
    homeless = list(_homeless(task, question))
    if homeless:
        return homeless
    if not proven:
        what = f"no plan was found in {time_limit_s:g} s, and none was proven impossible"
        return [Problem("plan", "--time-limit", what, "give it more time")]
    served = _served(question)
    workload, cluster, _ = task.files
    rate = sum(demand.rate_hz for demand in task.demands)
    found = [Problem(cluster, "$.nodes", what, fix) for what, fix in _more_devices(question, served)]
    found += [Problem(cluster, "$.nodes", what, fix) for what, fix in _wider_links(question)]
    what = f"is {rate:.4g} requests/s, of which this cluster carries {served * rate:.4g} ({served:.1%})"
    fix = f"lower it to {served * rate:.4g}" + (", or mend what follows" if found else "")
    return [Problem(workload, "$.rate_hz", what, fix), *found]


def _homeless(task: Task, question: Question) -> Iterator[Problem]:
    """Jobs that no executor can run, whatever the rates."""
    for demand in task.demands:
        for job in dict.fromkeys(invocation.job for invocation in demand.invocations):
            if not any(candidate.runs(job) for candidate in question.candidates):
                yield Problem(task.files[2], "$.profiles", *_why_homeless(task, job))


def _why_homeless(task: Task, job: Job) -> tuple[str, str]:
    curves = [c for c in task.library.all_of(job.component) if c.profile.device in task.cluster.devices]
    hints = task.workload.hints
    smallest = min(curves, key=lambda c: c.profile.memory.weights_bytes / c.profile.tensor_parallel)
    each = smallest.profile.memory.weights_bytes / smallest.profile.tensor_parallel / GIB
    usable = max(task.cluster.devices[c.profile.device].usable_bytes for c in curves) / GIB
    if each > usable:
        what = (
            f"say that {job.component} takes {each:.1f} GiB of each device, and devices have {usable:.1f} GiB"
        )
        return what, "profile it with more tensor_parallel or another precision, or add larger devices"
    if hints != type(hints)():
        what = (
            f"and $.hints together leave no device on which {job.component} can live with work {job.work:g}"
        )
        return what, "remove the hint that names it, or profile it on the device type that the hint wants"
    what = f"leave no memory beside {job.component}'s weights for a batch or a cache of work {job.work:g}"
    return what, "add devices with more memory, or profile it with more tensor_parallel"


def _served(question: Question) -> float:
    """The multiple of the workload that the cluster carries."""
    try:
        return search(replace(question, maximise=True, running=None, cuts=()), Clock(TIME_S), 1e-3).served
    except NoSolutionError:
        return 0.0


def _more_devices(question: Question, served: float) -> Iterator[tuple[str, str]]:
    """The cheapest devices to add, if devices are what is missing."""
    times = min(ceil(1 / max(served, 0.01)) + 1, MOST_MORE)
    groups = [replace(group, nodes=group.nodes * times) for group in question.groups]
    more = replace(question, groups=groups, running=None, cuts=(), device_limit=None)
    network = Network(more, flows_by_invocation(question.demands))
    Moving(network)
    added = {}
    for device, count in network.z.items():
        have = question.cluster.device_count(device)
        added[device] = pulp.LpVariable(f"added_{device}", 0, cat="Integer")
        network.problem += added[device] >= count - have
    costs = {name: spec.cost_per_hour or 1.0 for name, spec in question.cluster.devices.items()}
    network.problem.setObjective(pulp.lpSum(costs[device] * number for device, number in added.items()))
    try:
        solve(network.problem, TIME_S, 1e-3)
    except NoSolutionError:
        return
    for device, variable in added.items():
        number = round(variable.varValue or 0)
        if number:
            have = question.cluster.device_count(device)
            cost = number * question.cluster.devices[device].cost_per_hour
            what = f"have {have} {device}, and the workload needs {have + number}"
            yield what, f"add {number} {device} ({cost:.4g} per hour)"


def _wider_links(question: Question) -> Iterator[tuple[str, str]]:
    """The links to widen, if the devices would do."""
    network = Network(replace(question, running=None, cuts=()), flows_by_invocation(question.demands))
    moving = Moving(network, elastic=True)
    limits = {
        (g, kind): group.size * bytes_per_s / MEGABYTE
        for g, group in enumerate(question.groups)
        for kind, bytes_per_s in (("local", group.local_bytes_per_s), ("nic", group.nic_bytes_per_s))
    }
    network.problem.setObjective(
        pulp.lpSum(excess * (1 / limits[link]) for link, excess in moving.excess.items())
    )
    try:
        solve(network.problem, TIME_S, 1e-3)
    except NoSolutionError:
        return
    for (g, kind), excess in moving.excess.items():
        short = excess.varValue or 0.0
        if short > 1e-6 * limits[g, kind]:
            group = question.groups[g]
            have, need = (x / group.size * 8e-3 for x in (limits[g, kind], limits[g, kind] + short))
            what = f"of {group.node_class} have {kind} links of {have:.4g} Gbit/s, and {need:.4g} are needed"
            yield what, f"widen $.nodes.{group.node_class}.{kind}.gbit_s to {need:.4g}"
