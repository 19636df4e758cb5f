"""The Triton models that carry out executors: a plan and served components in, one unit for each model out.

| in the plan                                         | Triton models                                    |
|-----------------------------------------------------|--------------------------------------------------|
| an executor of one component                        | `<model>__<component>`, as without a plan        |
| of several that Python hosts                        | one for them all, `<model>__<a>__<b>`            |
| of several, some with native backends               | those apart, pinned to the same devices          |
| a second executor of the same components            | the same name with `__2`, `__3`, ... behind      |
| instances that span devices, or keep state together | one for each place, numbered in the same way     |

Names longer than 64 characters become `<model>__<n>_components_<hash>`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from corntriton.planner.plan import Executor, Place, Plan
from corntriton.repository.hosting import Backends
from corntriton.repository.reasons import reasons_for
from corntriton.repository.served import Served

_LONGEST_NAME = 64


@dataclass(frozen=True)
class Unit:
    """A Triton model that serves components.

    Attributes:
        name: The Triton model's.
        members: The components, with batch limits and devices as they have them here, by their serving names.
        joint: They live in one process, which runs whole parts of paths.
        count: Instances, on each of the GPUs where any are listed.
        kind: Of the instances: KIND_CPU, KIND_GPU, KIND_MODEL.
        gpus: The GPUs with an instance each; none where the kind is another, or without a plan.
        visible: The GPUs that the process of an instance spans.
        executor: The plan's name of it; None for what no plan has placed.
        reasons: Why there are so many, as lines of a comment.
    """

    name: str
    members: Mapping[str, Served]
    joint: bool
    count: int
    kind: str
    gpus: tuple[int, ...] = ()
    visible: tuple[int, ...] = ()
    executor: str | None = None
    reasons: tuple[str, ...] = ()

    @property
    def instances(self) -> int:
        """How many there are in all."""
        return self.count * max(1, len(self.gpus))

    @property
    def callers(self) -> tuple[str, ...]:
        """`<model>.<component>`, as each model calls what is in it."""
        return tuple(caller for served in self.members.values() for caller in served.callers)


def unplanned(served: Iterable[Served]) -> list[Unit]:
    """Each component by itself, as its model.yaml wants it."""
    return [
        Unit(each.name, {each.name: each}, False, each.component.spec.instances, each.hosting.kind)
        for each in served
    ]


def planned(plan: Plan, node: str, served: Mapping[str, Served], backends: Backends) -> list[Unit]:
    """What one node of a plan serves.

    Args:
        plan: The plan, which fits these components.
        node: The node.
        served: The components by serving name.
        backends: What the server has.
    """
    taken: Counter[str] = Counter()
    units = []
    for executor in plan.executors:
        places = [place for place in executor.instances if place.node == node]
        for names in _processes(executor, served) if places else ():
            members = {name: served[name] for name in names}
            for together in _apart(executor, members, places, backends):
                stem = _stem(members)
                taken[stem] += 1
                name = stem if taken[stem] == 1 else f"{stem}__{taken[stem]}"
                units.append(_unit(name, plan, executor, members, together, backends))
    return units


def serving_name(component: str) -> str:
    """The serving name of what a plan calls `model/component`."""
    return component.replace("/", "__", 1)


def _processes(executor: Executor, served: Mapping[str, Served]) -> Iterator[list[str]]:
    """The members by the processes they live in: what Python hosts can share one, a native backend cannot."""
    names = [serving_name(component) for component in executor.components]
    hosted = [name for name in names if served[name].hosting.host is not None]
    if hosted:
        yield hosted
    yield from ([name] for name in names if name not in hosted)


def _apart(
    executor: Executor, members: Mapping[str, Served], places: Sequence[Place], backends: Backends
) -> list[list[Place]]:
    """The places of each Triton model: one model for all of them unless instances must be told apart."""
    spans = executor.devices_per_instance > 1 and backends == "ngc"
    keeps_state = len(members) > 1 and any(each.component.spec.stateful for each in members.values())
    return [[place] for place in places] if spans or keeps_state else [[*places]]


def _unit(
    name: str,
    plan: Plan,
    executor: Executor,
    members: Mapping[str, Served],
    places: Sequence[Place],
    backends: Backends,
) -> Unit:
    on_gpu = plan.cluster.devices[executor.device].kind == "gpu"
    withheld = on_gpu and backends == "embedded"
    kind = "KIND_GPU" if on_gpu and not withheld else "KIND_CPU"
    gpus = [_gpus(plan, executor, place) for place in places] if kind == "KIND_GPU" else []
    spans = any(len(each) > 1 for each in gpus)
    listed = tuple(each[0] for each in gpus)
    per_gpu = len(places) if not listed else 1
    joint = len(members) > 1 or (spans and all(each.hosting.host for each in members.values()))
    here = {
        key: _as_planned(served, name, executor, key, kind, len(places), withheld)
        for key, served in members.items()
    }
    reasons = reasons_for(plan, executor, places[0].node, len(places))
    return Unit(
        name, here, joint, per_gpu, kind, listed, gpus[0] if spans else (), executor.name, tuple(reasons)
    )


def _as_planned(
    served: Served, name: str, executor: Executor, key: str, kind: str, instances: int, withheld: bool
) -> Served:
    spec = served.component.spec
    [member] = [each for each in executor.members if serving_name(each.component) == key]
    batch = member.max_batch if spec.batching.max_batch_size else 0  # 0: it has no batch dimension
    preferred = tuple(size for size in spec.batching.preferred if size <= batch)
    batching = spec.batching.model_copy(update={"max_batch_size": batch, "preferred": preferred})
    component = replace(
        served.component, spec=spec.model_copy(update={"batching": batching, "instances": instances})
    )
    hosting = replace(served.hosting, kind=kind, gpu_withheld=withheld)
    return replace(served, name=name, component=component, hosting=hosting)


def _gpus(plan: Plan, executor: Executor, place: Place) -> tuple[int, ...]:
    """CUDA's numbers of a place's devices: a node's GPU types are taken to be numbered in their order."""
    node_class = next(each for node, each in plan.cluster.all_nodes() if node == place.node)
    before = 0
    for device, count in plan.cluster.nodes[node_class].devices.items():
        if device == executor.device:
            break
        before += count if plan.cluster.devices[device].kind == "gpu" else 0
    return tuple(before + index for index in place.devices)


def _stem(members: Mapping[str, Served]) -> str:
    first, *others = members
    model = first.partition("__")[0]
    parts = [name.removeprefix(f"{model}__") for name in others]
    name = "__".join([first, *parts])
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{model}__{len(members)}_components_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
