"""The plan: the one thing that generator, simulator, rehearsal and reports read; kept as plan.json.

    planner ──Plan──save──> plan.json ──read──> build, simulate, rehearse, report

A plan holds the workload, cluster and profiles it was made from: nothing else is needed to judge it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any, Literal

from pydantic import TypeAdapter

from corntriton.planner.demand import ComponentFacts, Demand
from corntriton.spec.cluster import Cluster
from corntriton.spec.profiles import Profiles
from corntriton.spec.workload import Workload

VERSION = 1
_DIGITS = 9  # solvers differ in the last bits between machines; nobody plans to a billionth


@dataclass(frozen=True)
class Member:
    """A component inside an executor, and how it runs there.

    Attributes:
        component: `model/component`.
        max_batch: Most items (of an llm: requests) it works on at once, in each of its copies.
        tensor_parallel: Devices that one copy spans; a group of g devices holds g / tensor_parallel copies.
        precision: As in the profile.
        beside: Which of its profiles holds here: the one measured beside these, or alone.
        weights_bytes: Of one copy, over all its devices.
        batch_bytes: Set aside for its batches in one copy; 0 for an llm, whose cache is the executor's.
    """

    component: str
    max_batch: int
    tensor_parallel: int = 1
    precision: str = "default"
    beside: tuple[str, ...] = ()
    weights_bytes: int = 0
    batch_bytes: int = 0


@dataclass(frozen=True)
class Place:
    """Where an instance is.

    Attributes:
        node: The node's name.
        devices: Indexes of its devices, among those of its type on the node.
    """

    node: str
    devices: tuple[int, ...]


@dataclass(frozen=True)
class Cache:
    """The KV cache of an llm in one instance of an executor.

    Attributes:
        component: The llm.
        nbytes: Over all devices of the instance.
        bytes_per_work: Of a request, per unit of its work.
    """

    component: str
    nbytes: float
    bytes_per_work: float


@dataclass(frozen=True)
class Usage:
    """How much of one thing an executor uses: 1 is all there is, before the ceiling.

    Attributes:
        resource: `time`, or `cache of <component>`.
        used: Share in use at the planned rates.
        limit: Share that may be used.
    """

    resource: str
    used: float
    limit: float


@dataclass(frozen=True)
class Executor:
    """A set of components that live together.

    Attributes:
        name: Unique in the plan: components joined by `+`, `@`, the device type; `#2` for a second config.
        device: The device type.
        devices_per_instance: Size of the device group.
        members: By component name.
        instances: One place for each; sorted.
        caches: Of its llms.
        usage: Per resource, the scarcest first.
    """

    name: str
    device: str
    devices_per_instance: int
    members: tuple[Member, ...]
    instances: tuple[Place, ...]
    caches: tuple[Cache, ...] = ()
    usage: tuple[Usage, ...] = ()

    @property
    def components(self) -> tuple[str, ...]:
        """Its components."""
        return tuple(member.component for member in self.members)

    def member(self, component: str) -> Member:
        """The member that is this component; KeyError if none is."""
        for member in self.members:
            if member.component == component:
                return member
        raise KeyError(component)

    def count_on(self, node: str) -> int:
        """How many instances the node holds."""
        return sum(place.node == node for place in self.instances)


@dataclass(frozen=True)
class Stop:
    """Where a route runs an invocation: any one instance of that executor on that node.

    Attributes:
        executor: Its name.
        node: The node's name.
    """

    executor: str
    node: str


@dataclass(frozen=True)
class Route:
    """A way for requests of one type. Equal stops of one request are the same instance.

    Attributes:
        request_type: `model/type`.
        share: Of the type's requests; a type's shares add up to one.
        stops: By invocation id.
    """

    request_type: str
    share: float
    stops: Mapping[str, Stop]


@dataclass(frozen=True)
class Stage:
    """One objective of the lexicographic optimisation.

    Attributes:
        name: `cost`, `served`, `changes`, `bytes` or `busiest link`.
        unit: Of value and bound.
        value: What the plan has.
        bound: No plan over the candidates that keeps the earlier stages' values within tolerance can beat it.
        gap: |value - bound| / max(|value|, 1e-9), as a share.
        finished: Not ended by the time limit.
    """

    name: str
    unit: str
    value: float
    bound: float
    gap: float
    finished: bool = True


@dataclass(frozen=True)
class Objective:
    """What was optimised, and how good the result is proven to be; the figures are the first stage's.

    Attributes:
        goal: `cost` (least cost for the workload) or `served` (most of the workload on the cluster).
        value: In units per hour, or as a multiple of the workload.
        bound: Valid for every plan over the candidates.
        gap: Between the two, as a share.
        finished: False where the time limit ended a stage; then another run may give another plan.
        candidates: How many executor types with config were considered, after dominated ones went.
        stages: In order.
        multiple: Of a goal of least cost: the times the workload that a plan has to have the capacity for.
            More than 1 where latency targets need it: on all cheaper devices they were missed in simulations.
    """

    goal: Literal["cost", "served"]
    value: float
    bound: float
    gap: float
    finished: bool
    candidates: int
    stages: tuple[Stage, ...]
    multiple: float = 1.0


@dataclass(frozen=True)
class Totals:
    """The plan in a line.

    Attributes:
        devices: How many of each type are in use.
        cost_per_hour: Of these.
        instances: Of all executors.
        nodes: How many nodes are in use.
    """

    devices: Mapping[str, int]
    cost_per_hour: float
    instances: int
    nodes: int


@dataclass(frozen=True)
class Predicted:
    """What a request type can expect.

    Attributes:
        rate_hz: Planned rate.
        unloaded_s: Time to completion with nobody else there, averaged over its routes.
        unloaded_first_chunk_s: The same to the first chunk; None where nothing streams.
        p50_s: With load, simulated; None before a simulation.
        p99_s: The same.
        goodput_hz: Largest rate of the type at which all targets hold, the mix unchanged; simulated.
    """

    rate_hz: float
    unloaded_s: float
    unloaded_first_chunk_s: float | None = None
    p50_s: float | None = None
    p99_s: float | None = None
    goodput_hz: float | None = None


@dataclass(frozen=True)
class Plan:
    """Executors, their places, and routes.

    Attributes:
        workload: What it was made for; names are full ones.
        cluster: What it was made for.
        profiles: What it was made from, of the components that its models have.
        demands: The request types with their rates, works and bytes.
        executors: By name.
        routes: By request type, the most used first.
        totals: Devices, cost, instances, nodes.
        objective: What was optimised, and the proof.
        predicted: By request type.
        served_multiple: The most of the workload that these instances carry at the ceiling.
        components: Facts about each component that is visited.
        notes: What a reader has to know: targets that cannot be met, figures that are assumed.
        version: Of this format.
    """

    workload: Workload
    cluster: Cluster
    profiles: Profiles
    demands: tuple[Demand, ...]
    executors: tuple[Executor, ...]
    routes: tuple[Route, ...]
    totals: Totals
    objective: Objective
    predicted: Mapping[str, Predicted]
    served_multiple: float
    components: Mapping[str, ComponentFacts] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    version: int = VERSION

    def executor(self, name: str) -> Executor:
        """The executor of that name; KeyError if there is none."""
        for executor in self.executors:
            if executor.name == name:
                return executor
        raise KeyError(name)

    def routes_of(self, request_type: str) -> Iterator[Route]:
        """The routes of a request type."""
        return (route for route in self.routes if route.request_type == request_type)

    def to_json(self) -> dict[str, Any]:
        """Plain data; figures are rounded to nine digits."""
        data = _rounded(_ADAPTER.dump_python(self, mode="json"))
        assert isinstance(data, dict)  # a dataclass becomes one
        return data

    def save(self, file: File) -> None:
        """Writes plan.json; equal plans give equal bytes."""
        file.write_text(json.dumps(self.to_json(), indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def from_json(cls, data: Any) -> Plan:
        """The inverse of to_json.

        Raises:
            pydantic.ValidationError: data is no plan of this version.
        """
        return _ADAPTER.validate_python(data)


_ADAPTER: TypeAdapter[Plan] = TypeAdapter(Plan)


def _rounded(data: Any) -> Any:
    if isinstance(data, float):
        return float(f"{data:.{_DIGITS}g}")
    if isinstance(data, dict):
        return {key: _rounded(value) for key, value in data.items()}
    return [_rounded(value) for value in data] if isinstance(data, list) else data
