"""What other deployments would do: a task and its plan in, monolith, full disaggregation and others out.

Alternatives are given every advantage: what stays on a node is taken to stay there without a placement
that shows it. So what they are said to serve is a bound, and the plan's lead is never overstated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from corntriton.planner.candidates import Components, monoliths
from corntriton.planner.choose import Chooser
from corntriton.planner.milp import Question
from corntriton.planner.planning import Options, Planned, make_question
from corntriton.planner.solver import Clock, NoSolutionError
from corntriton.planner.task import Task
from corntriton.spec.cluster import Cluster

TIME_S = 20.0  # for each solve
GAP = 1e-3


@dataclass(frozen=True)
class Alternative:
    """Another deployment of the same workload.

    Attributes:
        name: What it is called.
        cost_per_hour: Of the devices that serve the workload; None if the cluster does not have them.
        served: The multiple of the workload that it serves on as many devices as the plan has; 0 if they
            cannot hold it.
        in_time: Both were found before time ran out; what is None or 0 otherwise is not known.
    """

    name: str
    cost_per_hour: float | None
    served: float
    in_time: bool = True


def alternatives(task: Task, planned: Planned, options: Options) -> list[Alternative]:
    """Any mix of executors, the best single topology, the monolith, and full disaggregation."""
    devices = planned.plan.totals.devices
    components = sorted(task.components)
    whole: list[Components] = [*monoliths(task.demands), tuple(components)]
    single: list[Components] = [(name,) for name in components]
    kinds = {
        "best mix of executors": options,
        "best single topology": replace(options, one_topology=True),
        "monolith": replace(options, sets=sorted(set(whole))),
        "full disaggregation": replace(options, sets=single),
    }
    return [alternative_of(name, make_question(task, kind)[0], devices) for name, kind in kinds.items()]


def prices_of_devices(planned: Planned) -> dict[str, tuple[float, float]]:
    """By type of device in use: the multiple of the workload served with one fewer, and with one more."""
    devices = planned.plan.totals.devices
    return {
        device: (
            served_with(planned, {**devices, device: count - 1}),
            served_with(planned, {**devices, device: count + 1}),
        )
        for device, count in devices.items()
    }


def served_with(planned: Planned, devices: Mapping[str, int]) -> float:
    """The multiple of the workload that so many devices serve; those the cluster lacks get a node."""
    limit = exactly(devices, planned.question.cluster)
    question = replace(planned.question, device_limit=limit)
    groups = list(question.groups)
    for device, count in devices.items():
        missing = count - question.cluster.device_count(device)
        home = next((group for group in groups if group.devices.get(device)), None)
        if missing > 0 and home:
            groups.append(replace(home, nodes=("one more",), devices={device: missing}, uniform=True))
    return _best(replace(question, groups=groups, maximise=True))[0] or 0.0


def exactly(devices: Mapping[str, int], cluster: Cluster) -> dict[str, int]:
    """A limit on devices by which there are none of types that are not named."""
    return {device: devices.get(device, 0) for device in cluster.devices}


def alternative_of(name: str, question: Question, devices: Mapping[str, int]) -> Alternative:
    """What the best answer to a question costs, and serves on so many devices."""
    limit = exactly(devices, question.cluster)
    cost, cost_in_time = _best(replace(question, maximise=False))
    served, served_in_time = _best(replace(question, maximise=True, device_limit=limit))
    return Alternative(name, cost, served or 0.0, cost_in_time and served_in_time)


def _best(question: Question) -> tuple[float | None, bool]:
    """The value of the first objective, None if there is none; and whether time did not run out before."""
    try:
        choice = Chooser(replace(question, running=None), Clock(TIME_S), GAP).choose(moving=False)
    except NoSolutionError as error:
        return None, not error.timed_out
    return choice.stages[0].value, True
