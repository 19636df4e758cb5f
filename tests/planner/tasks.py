"""Planning tasks written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from corntriton.planner.demand import ComponentFacts, Demand, Edge, Invocation
from corntriton.planner.task import Task
from corntriton.spec.cluster import Cluster, DeviceType, Link, NodeClass
from corntriton.spec.profiles import Memory, Profile, Profiles, Provenance, Sample
from corntriton.spec.workload import Hints, LatencyTarget, Traffic, Work, Workload

GIB = 2**30
FAST = Link(gbit_s=1000)


def profile(
    component: str,
    latencies_s: Mapping[int, float],
    weights_gib: float = 1,
    item_gib: float = 0,
    kv_gib: float = 0,
    device: str = "gpu",
    **more: object,
) -> Profile:
    """A profile with one work size, by batch."""
    samples = tuple(Sample(batch=batch, latency=seconds) for batch, seconds in latencies_s.items())
    memory = Memory(
        weights_bytes=int(weights_gib * GIB), item_bytes=int(item_gib * GIB), work_bytes=kv_gib * GIB
    )
    provenance = Provenance(how="assumed", source="a test")
    name = f"m/{component}"
    return Profile(
        component=name, device=device, samples=samples, memory=memory, provenance=provenance, **more
    )


def demand(
    rate_hz: float,
    *components: str,
    megabytes: float = 1.0,
    name: str = "t",
    targets: Sequence[LatencyTarget] = (),
) -> Demand:
    """A request type whose path is a chain of components."""
    invocations = tuple(Invocation(c, f"m/{c}", Work(mean=1.0)) for c in components)
    edges = tuple(Edge(a, b, megabytes * 1e6) for a, b in pairwise(components))
    return Demand(f"m/{name}", rate_hz, invocations, edges, (components[-1],), tuple(targets))


def cluster(
    gpus: int = 4,
    memory_gib: float = 10,
    nodes: int = 1,
    cpus: int = 0,
    nic: Link = FAST,
    local: Link = FAST,
) -> Cluster:
    """Equal nodes; a gpu costs 2 an hour, a cpu slot 0.1."""
    devices = {"gpu": DeviceType(memory_gib=memory_gib, cost_per_hour=2, usable=1)}
    held = {"gpu": gpus}
    if cpus:
        devices["cpu"] = DeviceType(kind="cpu", memory_gib=64, cost_per_hour=0.1, usable=1)
        held["cpu"] = cpus
    return Cluster(devices=devices, nodes={"n": NodeClass(count=nodes, devices=held, nic=nic, local=local)})


def task(
    demands: Sequence[Demand],
    profiles: Sequence[Profile],
    where: Cluster,
    hints: Hints | None = None,
    ceiling: float = 1.0,
    llms: Sequence[str] = (),
) -> Task:
    """Everything that a plan is made from."""
    visited = {invocation.component for d in demands for invocation in d.invocations}
    facts = {name: ComponentFacts("llm" if name[2:] in llms else "encoder") for name in sorted(visited)}
    workload = Workload(
        rate_hz=sum(d.rate_hz for d in demands),
        request_types={d.name: Traffic(share=1) for d in demands},
        ceiling=ceiling,
        hints=hints or Hints(),
    )
    return Task(tuple(demands), facts, workload, where, Profiles(profiles=tuple(profiles)))
