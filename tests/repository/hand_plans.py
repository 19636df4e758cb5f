"""Plans written by hand for models that are there: what lives together, how often, and where requests go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from corntriton.planner.demand import Demand, Invocation
from corntriton.planner.plan import Executor, Member, Objective, Place, Plan, Route, Stop, Totals, Usage
from corntriton.record.path import Path
from corntriton.spec.cluster import Cluster, DeviceType, NodeClass
from corntriton.spec.load import LoadedModel, serving_names
from corntriton.spec.profiles import Profiles
from corntriton.spec.workload import Traffic, Work, Workload
from tests.planner.plans import profile

# What runs each component, by the executors' names, on their first nodes or on the one that a stop names: one
# mapping for each route, with its share.
Ways = Sequence[tuple[float, Mapping[str, str | Stop]]]
NODES = ("n-0", "n-1", "n-2")


def executor(
    name: str,
    components: Mapping[str, int] | Sequence[str],
    instances: int | Sequence[Place] = 1,
    device: str = "cpu",
    devices_per_instance: int = 1,
) -> Executor:
    """An executor of components `model/component`, perhaps with their batch limits; on the first node."""
    batches = components if isinstance(components, Mapping) else dict.fromkeys(components, 4)
    members = tuple(Member(each, batch) for each, batch in batches.items())
    if isinstance(instances, int):
        instances = [Place(NODES[0], (index,)) for index in range(instances)]
    usage = (Usage("time", 0.5, 0.8),)
    return Executor(name, device, devices_per_instance, members, tuple(instances), usage=usage)


def hand_plan(
    models: Sequence[LoadedModel], executors: Sequence[Executor], ways: Mapping[str, Ways] | Ways
) -> Plan:
    """A plan; `ways` are those of each request type `model/type`, or of all of them."""
    names = serving_names(models)
    demands, routes = [], []
    for model in models:
        for type_name, path in model.paths.items():
            full = f"{model.name}/{type_name}"
            demand = Demand(full, 2.0, _invocations(path, model.name, names), (), ())
            demands.append(demand)
            for share, holders in ways[full] if isinstance(ways, Mapping) else ways:
                stops = {each.id: _stop(holders[each.component], executors) for each in demand.invocations}
                routes.append(Route(full, share, stops))
    components = {each for held in executors for each in held.components}
    types = {demand.name: Traffic(share=1) for demand in demands}
    cluster = Cluster(
        devices={
            "cpu": DeviceType(kind="cpu", memory_gib=8, cost_per_hour=0.1),
            "old": DeviceType(memory_gib=24, cost_per_hour=0.5),
            "gpu": DeviceType(memory_gib=80, cost_per_hour=1),
        },
        nodes={"n": NodeClass(count=len(NODES), devices={"cpu": 8, "old": 2, "gpu": 8})},
    )
    return Plan(
        workload=Workload(rate_hz=2.0 * len(demands), request_types=types),
        cluster=cluster,
        profiles=Profiles(
            profiles=tuple(profile(name.partition("/")[2], {1: 1.0}) for name in sorted(components))
        ),
        demands=tuple(demands),
        executors=tuple(executors),
        routes=tuple(routes),
        totals=Totals({}, 0, 0, 0),
        objective=Objective("cost", 0, 0, 0, True, 0, ()),
        predicted={},
        served_multiple=1.0,
    )


def _invocations(path: Path, model: str, names: Mapping[tuple[str, str], str]) -> tuple[Invocation, ...]:
    return tuple(
        Invocation(each.id, names[model, each.component].replace("__", "/", 1), Work(mean=1.0))
        for each in path.invocations
    )


def _stop(holder: str | Stop, executors: Sequence[Executor]) -> Stop:
    if isinstance(holder, Stop):
        return holder
    found = next(each for each in executors if each.name == holder)
    return Stop(holder, found.instances[0].node)
