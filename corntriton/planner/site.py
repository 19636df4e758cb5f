"""Where routes may go and what they take there; instances and demands in, the coefficients of routes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corntriton.planner.demand import Demand
from corntriton.planner.groups import CROSS_NODE_WEIGHT, Group
from corntriton.planner.milp import Cell
from corntriton.planner.moving import MEGABYTE
from corntriton.planner.sizing import Candidate

LOCAL, OUT, IN = "local", "out", "in"

Capacity = tuple[Cell, str]  # cell and resource
Link = tuple[int, str]  # group; local, out or in


@dataclass(frozen=True)
class Column:
    """A route: the number of its request type, and a cell for each invocation, in order."""

    demand: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Site:
    """Instances in groups of nodes.

    Attributes:
        demands: The request types.
        candidates: Executor types, by their index in cells.
        groups: Groups of nodes, by their index in cells.
        counts: Instances by cell, all nodes of the group together.
        ceiling: Share of each resource that may be used.
    """

    demands: Sequence[Demand]
    candidates: Sequence[Candidate]
    groups: Sequence[Group]
    counts: Mapping[Cell, int]
    ceiling: float

    def choices(self, demand: int) -> list[list[Cell]]:
        """For each invocation of a request type, the cells that can run it."""
        jobs = [invocation.job for invocation in self.demands[demand].invocations]
        return [[cell for cell in sorted(self.counts) if self.candidates[cell[0]].runs(job)] for job in jobs]

    def capacities(self) -> dict[Capacity, float]:
        """What may be used of each resource of each cell, in instances."""
        return {
            (cell, resource): self.ceiling * count
            for cell, count in self.counts.items()
            for resource in self.candidates[cell[0]].uses
        }

    def links(self) -> dict[Link, float]:
        """Megabytes per second of each link, over all nodes of its group."""
        found = {}
        for g, group in enumerate(self.groups):
            found[g, LOCAL] = group.size * group.local_bytes_per_s / MEGABYTE
            for kind in (OUT, IN):
                found[g, kind] = group.size * group.nic_bytes_per_s / MEGABYTE
        return found

    def load(self, column: Column) -> dict[Capacity, float]:
        """What one request per second on the route takes of each resource, in instances."""
        taken: dict[Capacity, float] = defaultdict(float)
        for invocation, cell in zip(self.demands[column.demand].invocations, column.cells, strict=True):
            for resource, uses in self.candidates[cell[0]].uses.items():
                share = uses.get(invocation.job, 0.0)
                if share:
                    taken[cell, resource] += invocation.runs * share
        return taken

    def traffic(self, column: Column) -> dict[Link, float]:
        """Megabytes that one request on the route puts on each link."""
        found: dict[Link, float] = defaultdict(float)
        demand = self.demands[column.demand]
        at = {i.id: cell for i, cell in zip(demand.invocations, column.cells, strict=True)}
        for edge in demand.edges:
            one, other = at[edge.producer], at[edge.consumer]
            for link in links_between(one, other):
                found[link] += edge.nbytes / MEGABYTE
        return found

    def weight(self, column: Column) -> float:
        """Megabytes that one request on the route moves; those between nodes weigh more."""
        return sum(WEIGHTS[kind] * megabytes for (_, kind), megabytes in self.traffic(column).items())


WEIGHTS = {LOCAL: 1.0, OUT: CROSS_NODE_WEIGHT, IN: 0.0}


def links_between(one: Cell, other: Cell) -> tuple[Link, ...]:
    """The links that carry what passes from one cell to another; none inside an instance."""
    if one == other:
        return ()
    if one[1] == other[1]:
        return ((one[1], LOCAL),)
    return (one[1], OUT), (other[1], IN)
