"""Finds a running plan's executors among the candidates: a Plan in, candidates with their nodes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from corntriton.planner.limits import Limits
from corntriton.planner.plan import Plan
from corntriton.planner.sizing import Candidate, Sizing
from corntriton.planner.task import Task


def running_instances(task: Task, running: Plan, limits: Limits) -> dict[Candidate, Mapping[str, int]]:
    """The executors of a running plan that can run on as they are, and how many stand on each node.

    Executors whose components, devices, nodes or profiles are gone cannot, and are left out.
    """
    nodes = dict(task.cluster.all_nodes())
    found: dict[Candidate, Mapping[str, int]] = {}
    for executor in running.executors:
        places = Counter(place.node for place in executor.instances if place.node in nodes)
        if executor.device not in task.cluster.devices or not places:
            continue
        if not set(executor.components) <= set(task.components):
            continue
        usable = task.cluster.devices[executor.device].usable_bytes
        sizing = Sizing(executor.device, usable, task.components, task.library, limits)
        classes = {
            name: spec.devices[executor.device]
            for name, spec in task.cluster.nodes.items()
            if spec.devices.get(executor.device)
        }
        candidate = sizing.candidate_of(executor, classes)
        if candidate is not None:
            found[candidate] = places
    return found
