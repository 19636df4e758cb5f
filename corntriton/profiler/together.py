"""A plan by hand that puts components into one executor, so that they can be measured there."""

from __future__ import annotations

from collections.abc import Sequence

from corntriton.planner.plan import Executor, Member, Objective, Place, Plan, Totals
from corntriton.repository.served import Served
from corntriton.spec.cluster import Cluster, DeviceType, NodeClass
from corntriton.spec.profiles import Profiles
from corntriton.spec.workload import Traffic, Workload

_NODE = "here"
_LARGEST_GIB = 1e6  # memory is what is to be found out


def plan_of(members: Sequence[Served], batch: int, on_gpu: bool) -> Plan:
    """One executor of these components, once, with nothing routed to it.

    Args:
        members: What lives together.
        batch: The limit of each, where its own is not lower.
        on_gpu: On the first GPU, else on the CPU.
    """
    device = "gpu" if on_gpu else "cpu"
    limits = (
        Member(
            each.name.replace("__", "/", 1), min(batch, max(1, each.component.spec.batching.max_batch_size))
        )
        for each in members
    )
    executor = Executor(device, device, 1, tuple(limits), (Place(f"{_NODE}-0", (0,)),))
    return Plan(
        workload=Workload(rate_hz=1.0, request_types={"none": Traffic(share=1)}),
        cluster=Cluster(
            devices={device: DeviceType(kind=device, memory_gib=_LARGEST_GIB, cost_per_hour=0)},
            nodes={_NODE: NodeClass(count=1, devices={device: 1})},
        ),
        profiles=Profiles.model_construct(work_units={}, profiles=()),
        demands=(),
        executors=(executor,),
        routes=(),
        totals=Totals({}, 0, 0, 0),
        objective=Objective("cost", 0, 0, 0, True, 0, ()),
        predicted={},
        served_multiple=1.0,
    )
