"""Adds to the program what passes between executors: variables v, o, a, x and their rows; see `milp`."""

from __future__ import annotations

from collections.abc import Sequence

import pulp

from corntriton.planner.demand import Demand
from corntriton.planner.groups import CROSS_NODE_WEIGHT, Group
from corntriton.planner.milp import Cell, Network

MEGABYTE = 1e6  # of bytes the program counts millions, which lie nearer to its other numbers

Terms = list[tuple[pulp.LpVariable, float]]


def may_fill_a_link(demands: Sequence[Demand], groups: Sequence[Group], multiple: float = 1.0) -> bool:
    """Whether all that could move, at a multiple of the rates, would fill a link if one node carried it."""
    total = multiple * sum(demand.rate_hz * edge.nbytes for demand in demands for edge in demand.edges)
    several = sum(group.size for group in groups) > 1
    nic = min((group.nic_bytes_per_s for group in groups), default=0.0)
    local = min((group.local_bytes_per_s for group in groups), default=0.0)
    return total > local or (several and total > nic)


class Moving:
    """What passes between executors, in a Network whose flows are by invocation.

    Attributes:
        weighted_megabytes: Per second; those between nodes weigh more.
        excess: If elastic: megabytes per second that each group's links of a kind carry beyond what they can.
    """

    def __init__(self, network: Network, elastic: bool = False) -> None:
        self._network = network
        self._elastic = elastic
        self.excess: dict[tuple[int, str], pulp.LpVariable] = {}
        groups = network.question.groups
        self._moved: list[Terms] = [[] for _ in groups]
        self._out: list[Terms] = [[] for _ in groups]
        self._into: list[Terms] = [[] for _ in groups]
        for number, (nbytes, producer, consumer) in enumerate(self._edges()):
            if nbytes:
                for g in range(len(groups)):
                    self._edge(f"{number}_{g}", nbytes / MEGABYTE, g, producer, consumer)
        crossing = [self._links(g, group) for g, group in enumerate(groups)]
        between = [term for terms in self._out for term in terms] + [(x, 1.0) for x in crossing]
        within = [term for terms in self._moved for term in terms]
        self.weighted_megabytes = pulp.LpAffineExpression(within) + (CROSS_NODE_WEIGHT - 1) * (
            pulp.LpAffineExpression(between)
        )

    def _edges(self) -> list[tuple[float, int, int]]:
        """Bytes per request, and the flows of producer and consumer."""
        found, first = [], 0
        for demand in self._network.question.demands:
            index = {i.id: first + number for number, i in enumerate(demand.invocations)}
            found += [(edge.nbytes, index[edge.producer], index[edge.consumer]) for edge in demand.edges]
            first += len(demand.invocations)
        return found

    def _edge(self, name: str, megabytes: float, g: int, producer: int, consumer: int) -> None:
        problem = self._network.problem
        here = self._here(producer, g)
        there = self._here(consumer, g)
        for cell, share in here.items():
            leaves = pulp.LpVariable(f"v_{name}_{cell[0]}", 0)
            problem += leaves - share + there.get(cell, 0) >= 0
            self._moved[g].append((leaves, megabytes))
        if len(self._network.question.groups) > 1:
            out, into = pulp.LpVariable(f"o_{name}", 0), pulp.LpVariable(f"a_{name}", 0)
            net = pulp.lpSum(here.values()) - pulp.lpSum(there.values())
            problem += out - net >= 0
            problem += into + net >= 0
            self._out[g].append((out, megabytes))
            self._into[g].append((into, megabytes))

    def _here(self, flow: int, g: int) -> dict[Cell, pulp.LpVariable]:
        return {cell: share for cell, share in self._network.y[flow].items() if cell[1] == g}

    def _links(self, g: int, group: Group) -> pulp.LpVariable:
        """Bounds what passes through the links of a group; the variable is what crosses between its nodes."""
        problem = self._network.problem
        crossing = pulp.LpVariable(f"x_{g}", 0, 0 if group.uniform else None)
        minus_out = [(variable, -weight) for variable, weight in self._out[g]]
        stays = pulp.LpAffineExpression([*self._moved[g], *minus_out])
        local = group.size * group.local_bytes_per_s / MEGABYTE
        nic = group.size * group.nic_bytes_per_s / MEGABYTE
        problem += stays - crossing - self._excess(g, "local") <= local
        if not group.uniform and self._network.question.locality < 1:
            problem += crossing - (1 - self._network.question.locality) * stays >= 0
        for through in (self._out[g], self._into[g]):
            problem += pulp.LpAffineExpression([*through, (crossing, 1.0)]) - self._excess(g, "nic") <= nic
        return crossing

    def _excess(self, g: int, kind: str) -> pulp.LpVariable:
        return self.excess.setdefault(
            (g, kind), pulp.LpVariable(f"e_{g}_{kind}", 0, None if self._elastic else 0)
        )
