"""cluster.yaml: device types, node classes and links; a file in, a frozen Cluster out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, model_validator

from corntriton.errors import Problems
from corntriton.spec.files import read_yaml
from corntriton.spec.validation import Frozen, choose, fault, validate

GIB = 2**30


class DeviceType(Frozen):
    """A sort of device. A CPU device is a slot of cores that one executor has to itself."""

    kind: Literal["gpu", "cpu"] = "gpu"
    """Which of the two; how a Triton instance is told where to live follows from it."""
    memory_gib: float = Field(gt=0)
    """Memory of one device, in GiB (2^30 bytes)."""
    cost_per_hour: float = Field(ge=0)
    """What one device costs while an executor is on it, in any currency."""
    usable: float = Field(default=0.9, gt=0, le=1)
    """Share of the memory that weights and batches may take; the rest is the driver's and for spikes."""

    @property
    def usable_bytes(self) -> int:
        """Bytes that weights and batches may take on one device."""
        return int(self.memory_gib * GIB * self.usable)


class Link(Frozen):
    """What carries tensors: a node's network interface, or the way between the executors of one node."""

    gbit_s: float = Field(gt=0)
    """Gigabits per second; of a network interface, in each direction."""
    latency_ms: float = Field(default=0.0, ge=0)
    """Added to every transfer, in milliseconds."""

    @property
    def bytes_per_s(self) -> float:
        """Bytes per second."""
        return self.gbit_s * 1e9 / 8


class NodeClass(Frozen):
    """Nodes that are alike."""

    count: int | None = Field(default=None, ge=1)
    """How many there are; their names are then `<class>-0`, `<class>-1`, and so on."""
    names: tuple[str, ...] = ()
    """Their names, instead of a count."""
    devices: Mapping[str, int] = Field(min_length=1)
    """How many devices of each type one node has."""
    nic: Link = Link(gbit_s=25, latency_ms=0.2)
    """The network interface of one node; default: 25 Gbit/s."""
    local: Link = Link(gbit_s=80, latency_ms=0.05)
    """Between the executors of one node, all together; default: 80 Gbit/s, a copy through host memory."""

    @model_validator(mode="after")
    def _counted_once(self) -> NodeClass:
        if (self.count is None) == (not self.names):
            raise fault("has to say how many nodes there are, once", "give either count or names")
        if len(set(self.names)) != len(self.names):
            raise fault("names a node twice", "give every node a name of its own")
        return self

    @property
    def size(self) -> int:
        """How many nodes there are."""
        return self.count or len(self.names)


class Cluster(Frozen):
    """Everything that may carry executors."""

    devices: Mapping[str, DeviceType] = Field(min_length=1)
    """Device types by name."""
    nodes: Mapping[str, NodeClass] = Field(min_length=1)
    """Node classes by name."""

    def node_names(self, node_class: str) -> tuple[str, ...]:
        """The nodes of a class, in order."""
        nodes = self.nodes[node_class]
        return nodes.names or tuple(f"{node_class}-{index}" for index in range(nodes.size))

    def all_nodes(self) -> Iterator[tuple[str, str]]:
        """Every node's name and class, class by class."""
        for node_class in self.nodes:
            for node in self.node_names(node_class):
                yield node, node_class

    def device_count(self, device: str) -> int:
        """How many devices of a type the whole cluster has."""
        return sum(nodes.size * nodes.devices.get(device, 0) for nodes in self.nodes.values())


def read_cluster(file: str, problems: Problems) -> Cluster | None:
    """Reads cluster.yaml; None, with problems noted, where it is not right."""
    document = read_yaml(file, problems)
    cluster = document and validate(Cluster, document, problems)
    if not document or not cluster:
        return None
    for name, nodes in cluster.nodes.items():
        for device, count in nodes.devices.items():
            place = ("nodes", name, "devices", device)
            if device not in cluster.devices:
                fix = choose(device, cluster.devices, "describe it under devices")
                document.note(problems, place, "is not a device type of this cluster", fix)
            elif count < 0:
                document.note(problems, place, f"is {count}", "write how many there are, 0 or more")
    names = [node for node, _ in cluster.all_nodes()]
    for name in sorted({name for name in names if names.count(name) > 1}):
        document.note(problems, ("nodes",), f"has two nodes named {name}", "rename one of them")
    return cluster
