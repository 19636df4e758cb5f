"""Random small planning tasks, made from a seed: few components, few devices, paths that fork and join."""

from __future__ import annotations

import random

from corntriton.planner.demand import ComponentFacts, Demand, Edge, Invocation
from corntriton.planner.task import Task
from corntriton.spec.cluster import Cluster, DeviceType, Link, NodeClass
from corntriton.spec.profiles import Memory, Profile, Profiles, Provenance, Sample
from corntriton.spec.workload import Traffic, Work, Workload

GIB = 2**30
ASSUMED = Provenance(how="assumed", source="drawn at random for a test")


def random_task(seed: int) -> Task:
    """A task; about one in five cannot be done."""
    draw = random.Random(seed)
    components = [f"m/{name}" for name in "abc"[: draw.choice([2, 2, 3])]]
    llm = draw.choice([None, draw.choice(components)])
    cluster = _cluster(draw)
    profiles = [
        _profile(draw, component, device, component == llm)
        for component in components
        for device in cluster.devices
        if device == next(iter(cluster.devices)) or draw.random() < 0.7
    ]
    demands = [_demand(draw, f"m/t{number}", components, llm) for number in range(draw.choice([1, 2, 2]))]
    workload = Workload(
        rate_hz=1.0,
        request_types={d.name: Traffic(share=1) for d in demands},
        ceiling=draw.choice([1.0, 0.85]),
    )
    facts = {name: ComponentFacts("llm" if name == llm else "encoder") for name in components}
    visited = {i.component for demand in demands for i in demand.invocations}
    facts = {name: fact for name, fact in facts.items() if name in visited}
    return Task(tuple(demands), facts, workload, cluster, Profiles(profiles=tuple(profiles)))


def _cluster(draw: random.Random) -> Cluster:
    big = DeviceType(memory_gib=draw.choice([10, 20, 40]), cost_per_hour=draw.choice([2, 3]), usable=1)
    small = DeviceType(memory_gib=10, cost_per_hour=1, usable=1, kind="cpu")
    mixed = draw.random() < 0.4
    devices = {"big": draw.choice([1, 2])} | ({"small": 1} if mixed else {})
    # A megabyte a second and less: edges carry megabytes, so links matter in about half of the tasks.
    nic = Link(gbit_s=draw.choice([0.004, 0.016, 10]))
    local = Link(gbit_s=draw.choice([0.02, 10]))
    count = 1 if devices["big"] == 2 and mixed else draw.choice([1, 2])
    nodes = NodeClass(count=count, devices=devices, nic=nic, local=local)
    return Cluster(devices={"big": big} | ({"small": small} if mixed else {}), nodes={"n": nodes})


def _profile(draw: random.Random, component: str, device: str, llm: bool) -> Profile:
    one_s = draw.choice([0.1, 0.2, 0.4]) * (3 if device == "small" else 1)
    gain = draw.choice([0.5, 0.7, 1.0])
    works = (1.0, 3.0) if llm else (1.0,)
    samples = tuple(
        Sample(batch=batch, work=work, latency=one_s * work * (1 if batch == 1 else 2 * gain))
        for batch in (1, 2)
        for work in works
    )
    memory = Memory(
        weights_bytes=draw.choice([2, 4, 7]) * GIB,
        item_bytes=draw.choice([0, 1, 2]) * GIB,
        work_bytes=draw.choice([0.5, 1.0]) * GIB if llm else 0,
    )
    return Profile(component=component, device=device, samples=samples, memory=memory, provenance=ASSUMED)


def _demand(draw: random.Random, name: str, components: list[str], llm: str | None) -> Demand:
    """A path over some of the components; every later invocation may hang on every earlier one."""
    visited = [c for c in components if draw.random() < 0.8] or components[:1]
    if len(visited) > 1 and draw.random() < 0.2:
        visited.append(visited[0])
    invocations = tuple(
        Invocation(
            f"i{number}",
            c,
            Work(mean=draw.choice([1.0, 2.0, 3.0]) if c == llm else 1.0),
            draw.choice([1, 1, 2]),
        )
        for number, c in enumerate(visited)
    )
    edges = tuple(
        Edge(f"i{one}", f"i{other}", draw.choice([0.0, 0.1, 0.5]) * 1e6)
        for other in range(len(visited))
        for one in range(other)
        if draw.random() < 0.7
    )
    return Demand(name, draw.choice([0.5, 1.0, 2.0, 3.0]), invocations, edges, (invocations[-1].id,))
