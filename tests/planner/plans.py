"""Small plans written by hand, for tests of what reads plans."""

from __future__ import annotations

from collections.abc import Sequence

from corntriton.planner.demand import Demand, Edge, Invocation
from corntriton.planner.plan import Executor, Objective, Plan, Route, Stop, Totals
from corntriton.spec.cluster import Cluster, DeviceType, Link, NodeClass
from corntriton.spec.profiles import Latency, Memory, Profile, Profiles, Provenance, Sample
from corntriton.spec.workload import LatencyTarget, Traffic, Work, Workload

HERE = "n-0"


def profile(component: str, latencies_s: dict[int, float], std_s: float = 0.0, **more: object) -> Profile:
    """A profile with one work size, by batch."""
    first = more.pop("first_chunk_s", None)
    samples = tuple(
        Sample(batch=batch, latency=Latency(mean_s=mean_s, std_s=std_s * mean_s), first_chunk_s=first)
        for batch, mean_s in latencies_s.items()
    )
    return Profile(
        component=component,
        device="gpu",
        samples=samples,
        memory=Memory(weights_bytes=1),
        provenance=Provenance(how="assumed", source="a test"),
        **more,
    )


def invocation(
    component: str, elements: int = 1, chunks: int = 1, mean: float = 1.0, cv: float = 0.0
) -> Invocation:
    """An invocation named after its component."""
    return Invocation(component, f"m/{component}", Work(mean=mean, cv=cv), elements, chunks)


def demand(
    rate_hz: float,
    invocations: Sequence[Invocation],
    edges: Sequence[Edge] = (),
    targets: Sequence[LatencyTarget] = (),
    name: str = "m/t",
) -> Demand:
    """A request type whose last invocation answers."""
    return Demand(name, rate_hz, tuple(invocations), tuple(edges), (invocations[-1].id,), tuple(targets))


def here(*components: str, executor: str | None = None) -> dict[str, Stop]:
    """Stops on the first node, each component on an executor of its name, or all on one."""
    return {component: Stop(executor or component, HERE) for component in components}


def plan(
    demands: Sequence[Demand],
    executors: Sequence[Executor],
    routes: Sequence[Route],
    profiles: Sequence[Profile],
    nic: Link | None = None,
    arrivals: tuple[tuple[float, str], ...] = (),
) -> Plan:
    """A plan on two nodes of eight devices; what the planner would have worked out is left at nothing."""
    nodes = NodeClass(count=2, devices={"gpu": 8}, nic=nic or Link(gbit_s=8), local=Link(gbit_s=80))
    return Plan(
        workload=Workload(
            rate_hz=sum(d.rate_hz for d in demands),
            request_types={d.name: Traffic(share=1) for d in demands},
            arrivals=arrivals,
        ),
        cluster=Cluster(devices={"gpu": DeviceType(memory_gib=80, cost_per_hour=1)}, nodes={"n": nodes}),
        profiles=Profiles(profiles=tuple(profiles)),
        demands=tuple(demands),
        executors=tuple(executors),
        routes=tuple(routes),
        totals=Totals({}, 0, 0, 0),
        objective=Objective("cost", 0, 0, 0, True, 0, ()),
        predicted={},
        served_multiple=1.0,
    )
