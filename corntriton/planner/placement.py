"""Puts instances on nodes: counts per node class in, what each node holds and the routes over it out.

Routes are found by the same program as ever, over groups of nodes that hold the same. Several ways to
deal out the instances are tried, and the best is taken: where they run already, spread evenly, packed, and
for few nodes the one that a mixed-integer program over single nodes finds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pulp

from corntriton.planner.groups import Group, group_of, node_groups
from corntriton.planner.milp import Cell, Network, Question, flows_by_invocation
from corntriton.planner.moving import Moving
from corntriton.planner.routes import Routing, best_routes
from corntriton.planner.site import Site
from corntriton.planner.sizing import Candidate
from corntriton.planner.solver import Clock, NoSolutionError, solve

EXACT_UP_TO = 8  # nodes: beyond, the program over single nodes has too many equal solutions

EXACT_NODES = 500  # of the tree that is searched for the best placement

Holding = Mapping[int, int]  # instances by candidate
Running = Mapping[tuple[int, str], int]  # instances by candidate and node
Deal = Callable[[Group, Holding, Sequence[Candidate]], Mapping[str, Holding]]


@dataclass(frozen=True)
class Placed:
    """Instances on nodes, and the routes over them.

    Attributes:
        nodes: What each node holds.
        site: Groups of nodes that hold the same.
        routing: Routes over the site.
        changes: Instances to start and to stop; 0 where no plan is running.
    """

    nodes: Mapping[str, Holding]
    site: Site
    routing: Routing
    changes: int = 0

    @property
    def rank(self) -> tuple[float, float, float, float]:
        """Smaller is better."""
        routing = self.routing
        short = 0.0 if routing.complete else routing.short_hz
        return short, self.changes, round(routing.weighted_megabytes, 6), round(routing.busiest, 6)


def place(question: Question, counts: Mapping[Cell, int], clock: Clock) -> Placed | None:
    """The best of the placements tried; None if the device groups do not fit on the nodes."""
    deals: list[Deal] = [_evenly, _packed]
    if question.running:
        deals.append(partial(_where_they_run, question.running))
    dealt = [_dealt(question, counts, deal) for deal in deals]
    tried = [_placed(question, nodes) for nodes in dealt if nodes is not None]
    joined = any(group.size > 1 for group in question.groups)
    few = joined and sum(group.size for group in question.groups) <= EXACT_UP_TO
    if few and not any(_all_on_one_node(placed) for placed in tried):
        exact = _by_program(question, counts, clock)
        tried += [_placed(question, exact)] if exact is not None else []
    return min(tried, key=lambda placed: placed.rank, default=None)


def site_of(question: Question, nodes: Mapping[str, Holding]) -> Site:
    """Joins nodes of a class that hold the same into groups."""
    alike: dict[tuple[str, tuple[tuple[int, int], ...]], list[str]] = defaultdict(list)
    for group in question.groups:
        for node in group.nodes:
            if nodes.get(node):
                alike[group.node_class, tuple(sorted(nodes[node].items()))].append(node)
    groups = [group_of(question.cluster, node_class, names, True) for (node_class, _), names in alike.items()]
    counts = {
        (candidate, g): each * groups[g].size
        for g, (_, holding) in enumerate(alike)
        for candidate, each in holding
    }
    return Site(question.demands, question.candidates, groups, counts, question.ceiling)


def _all_on_one_node(placed: Placed) -> bool:
    columns = placed.routing.rates
    return placed.routing.complete and all(len({g for _, g in column.cells}) == 1 for column in columns)


def _placed(question: Question, nodes: Mapping[str, Holding]) -> Placed:
    if question.running is None:
        site = site_of(question, nodes)
        return Placed(nodes, site, best_routes(site))
    nodes = _near_running(question, question.running, nodes)
    site = site_of(question, nodes)
    return Placed(nodes, site, best_routes(site), _changes(question.running, nodes))


def _changes(running: Running, nodes: Mapping[str, Holding]) -> int:
    """Instances to start and to stop."""
    wanted = {(c, node): count for node, held in nodes.items() for c, count in held.items()}
    differences = (wanted.get(key, 0) - running.get(key, 0) for key in {*wanted, *running})
    return sum(map(abs, differences))


def _near_running(question: Question, running: Running, nodes: Mapping[str, Holding]) -> dict[str, Holding]:
    """The same contents on nodes of the same group, where most of each runs already."""
    found: dict[str, Holding] = {}
    for group in question.groups:
        free = list(group.nodes)
        contents = [nodes[node] for node in group.nodes if node in nodes]
        for content in sorted(contents, key=lambda held: -sum(held.values())):
            node = max(free, key=lambda n: sum(min(k, running.get((c, n), 0)) for c, k in content.items()))
            free.remove(node)
            found[node] = content
    return found


def _dealt(question: Question, counts: Mapping[Cell, int], deal: Deal) -> dict[str, Holding] | None:
    nodes: dict[str, Holding] = {}
    for g, group in enumerate(question.groups):
        here = {c: count for (c, h), count in counts.items() if h == g}
        try:
            nodes.update(deal(group, here, question.candidates))
        except _FullError:
            return None
    return nodes


class _FullError(Exception):
    """No node has room for a device group."""


class _Shelf:
    """The nodes of a group while they are filled."""

    def __init__(self, group: Group) -> None:
        self.held: dict[str, Counter[int]] = {node: Counter() for node in group.nodes}
        self._free = {node: dict(group.devices) for node in group.nodes}

    def free(self, node: str, device: str) -> int:
        """Devices left."""
        return self._free[node].get(device, 0)

    def put(self, node: str, number: int, candidate: Candidate) -> bool:
        """Adds an instance, if there is room."""
        if self.free(node, candidate.device) < candidate.group:
            return False
        self.held[node][number] += 1
        self._free[node][candidate.device] -= candidate.group
        return True


def _where_they_run(
    running: Running, group: Group, counts: Holding, candidates: Sequence[Candidate]
) -> Mapping[str, Holding]:
    """What runs and is wanted stays; the rest goes where most is free."""
    shelf = _Shelf(group)
    left = Counter(dict(counts))
    for number in counts:
        for node in group.nodes:
            for _ in range(min(running.get((number, node), 0), left[number])):
                left[number] -= shelf.put(node, number, candidates[number])
    _put_where_free(shelf, left, candidates)
    return shelf.held


def _evenly(group: Group, counts: Holding, candidates: Sequence[Candidate]) -> Mapping[str, Holding]:
    """Every node gets a like part of everything; what is left over goes where most is free."""
    shelf = _Shelf(group)
    left: Counter[int] = Counter()
    for number in _largest_first(counts, candidates):
        each, left[number] = divmod(counts[number], group.size)
        for node in group.nodes:
            for _ in range(each):
                left[number] += not shelf.put(node, number, candidates[number])
    _put_where_free(shelf, left, candidates)
    return shelf.held


def _put_where_free(shelf: _Shelf, counts: Holding, candidates: Sequence[Candidate]) -> None:
    """Every instance goes to the node that has most devices left, large ones first."""
    for number in _largest_first(counts, candidates):
        device = candidates[number].device
        for _ in range(counts[number]):
            node = max(shelf.held, key=lambda name: shelf.free(name, device))
            if not shelf.put(node, number, candidates[number]):
                raise _FullError


def _packed(group: Group, counts: Holding, candidates: Sequence[Candidate]) -> Mapping[str, Holding]:
    """Nodes are filled one after the other."""
    shelf = _Shelf(group)
    for number in _largest_first(counts, candidates):
        nodes = iter(group.nodes)
        node = next(nodes)
        for _ in range(counts[number]):
            while not shelf.put(node, number, candidates[number]):
                try:
                    node = next(nodes)
                except StopIteration:
                    raise _FullError from None
    return shelf.held


def _largest_first(counts: Holding, candidates: Sequence[Candidate]) -> list[int]:
    return sorted((c for c in counts if counts[c]), key=lambda c: (-candidates[c].group, c))


def _by_program(question: Question, counts: Mapping[Cell, int], clock: Clock) -> dict[str, Holding] | None:
    """What each node holds if least is to move; None if nothing was found, or links are too narrow."""
    used = frozenset(candidate for candidate, _ in counts)
    single = replace(
        question, groups=node_groups(question.cluster), only=used, running=None, cuts=(), device_limit=None
    )
    network = Network(single, flows_by_invocation(question.demands))
    for g, group in enumerate(question.groups):
        members = [h for h, one in enumerate(single.groups) if set(one.nodes) <= set(group.nodes)]
        for candidate in used:
            here = [network.n[candidate, h] for h in members if (candidate, h) in network.n]
            network.problem += pulp.lpSum(here) == counts.get((candidate, g), 0)
    network.problem.setObjective(Moving(network).weighted_megabytes)
    try:
        solve(network.problem, clock.left_s / 2, gap=1e-4, nodes=EXACT_NODES)
    except NoSolutionError:
        return None
    nodes: dict[str, Counter[int]] = {group.nodes[0]: Counter() for group in single.groups}
    for (candidate, h), count in network.counts().items():
        nodes[single.groups[h].nodes[0]][candidate] = count
    return dict(nodes)
