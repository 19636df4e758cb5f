"""Nodes that the planner does not tell apart: a cluster in, groups of equal nodes with their limits out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corntriton.spec.cluster import Cluster

# A byte between nodes counts as ten inside one: about what network interfaces cost beside copies in memory.
CROSS_NODE_WEIGHT = 10.0


@dataclass(frozen=True)
class Group:
    """Equal nodes.

    Attributes:
        node_class: Their class.
        nodes: Their names.
        devices: On each node, by type.
        nic_bytes_per_s: Of each node, in and out.
        local_bytes_per_s: Between the executors of each node.
        uniform: Every node holds the same instances (a single node always does). Then whatever stays in the
            group can stay on a node: each node carries an equal part of the group's routes. Where it is not
            known what each node holds, the planner hopes that what stays in the group stays on a node.
    """

    node_class: str
    nodes: tuple[str, ...]
    devices: Mapping[str, int]
    nic_bytes_per_s: float
    local_bytes_per_s: float
    uniform: bool

    @property
    def size(self) -> int:
        """How many nodes."""
        return len(self.nodes)


def class_groups(cluster: Cluster) -> list[Group]:
    """One group for each node class."""
    return [group_of(cluster, name, cluster.node_names(name)) for name in cluster.nodes]


def node_groups(cluster: Cluster) -> list[Group]:
    """One group for each node."""
    return [group_of(cluster, node_class, (node,)) for node, node_class in cluster.all_nodes()]


def group_of(cluster: Cluster, node_class: str, nodes: Sequence[str], uniform: bool = False) -> Group:
    """A group of some nodes of a class."""
    spec = cluster.nodes[node_class]
    return Group(
        node_class,
        tuple(nodes),
        dict(spec.devices),
        spec.nic.bytes_per_s,
        spec.local.bytes_per_s,
        uniform or len(nodes) == 1,
    )
