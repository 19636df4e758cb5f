from __future__ import annotations

import random
from itertools import product

import highspy
import pytest

from corntriton.errors import UserError
from corntriton.planner import search as searching
from corntriton.planner.demand import ComponentFacts, Demand, Edge, Invocation, Job
from corntriton.planner.groups import Group
from corntriton.planner.plan import Member
from corntriton.planner.planning import Options, make_plan
from corntriton.planner.routes import best_routes, served_multiple
from corntriton.planner.site import Site
from corntriton.planner.sizing import TIME, Candidate
from corntriton.planner.task import Task
from corntriton.spec.cluster import Cluster, DeviceType, Link, NodeClass
from corntriton.spec.profiles import Profiles
from corntriton.spec.workload import Traffic, Work, Workload
from tests.planner.brute_force import least_cost
from tests.planner.checker import faults
from tests.planner.tasks import profile


def random_site(seed: int) -> Site:
    """Executors in two groups of nodes, and paths of four invocations with any edges between them."""
    draw = random.Random(seed)
    names = "abcd"
    candidates = []
    for _ in range(4):
        members = draw.sample(names, draw.randint(1, 3))
        uses = {TIME: {Job(name, 1.0): draw.choice([0.1, 0.2]) for name in members}}
        kinds = tuple(Member(name, 1) for name in sorted(members))
        candidates.append(Candidate("gpu", 1, kinds, ("n",), uses, dict(uses[TIME])))
    whole = {TIME: {Job(name, 1.0): 0.2 for name in names}}
    candidates.append(Candidate("gpu", 1, tuple(Member(n, 1) for n in names), ("n",), whole, whole[TIME]))
    counts = {(c, g): draw.randint(1, 2) for c in range(5) for g in range(2) if draw.random() < 0.6}
    counts[4, 0] = 1
    groups = [Group("n", (f"n{g}",), {"gpu": 9}, draw.choice([2e6, 9e6]), draw.choice([2e6, 9e6]), True)
              for g in range(2)]  # fmt: skip
    demands = []
    for number in range(2):
        edges = tuple(
            Edge(names[i], names[j], draw.choice([0.2e6, 1e6]))
            for i in range(4)
            for j in range(i + 1, 4)
            if draw.random() < 0.7
        )
        invocations = tuple(Invocation(name, name, Work(mean=1.0)) for name in names)
        demands.append(Demand(f"m/t{number}", draw.choice([0.5, 1.5]), invocations, edges))
    return Site(demands, candidates, groups, counts, 0.9)


def over_every_route(site: Site) -> tuple[float, float]:
    """Requests that cannot be carried, and, if all can, the least weighted megabytes; all routes listed."""
    columns = []
    for t, demand in enumerate(site.demands):
        for cells in product(*site.choices(t)):
            at = dict(zip([i.id for i in demand.invocations], cells, strict=True))
            takes, weight = {("t", t): 1.0}, 0.0
            for invocation, cell in zip(demand.invocations, cells, strict=True):
                use = site.candidates[cell[0]].uses[TIME][invocation.job]
                takes[cell] = takes.get(cell, 0) + use
            for edge in demand.edges:
                one, other = at[edge.producer], at[edge.consumer]
                size = edge.nbytes / 1e6
                if one == other:
                    continue
                links = [("l", one[1])] if one[1] == other[1] else [("o", one[1]), ("i", other[1])]
                weight += size if one[1] == other[1] else 10 * size
                for link in links:
                    takes[link] = takes.get(link, 0) + size
            columns.append((takes, weight))
    rows = {("t", t): demand.rate_hz for t, demand in enumerate(site.demands)}
    rows.update({cell: site.ceiling * count for cell, count in site.counts.items()})
    for g, group in enumerate(site.groups):
        rows["l", g] = group.local_bytes_per_s / 1e6
        rows["o", g] = rows["i", g] = group.nic_bytes_per_s / 1e6

    def solved(with_short: bool) -> float | None:
        model = highspy.Highs()
        model.setOptionValue("output_flag", False)
        index = {row: number for number, row in enumerate(rows)}
        for row, limit in rows.items():
            model.addRow(limit if row[0] == "t" else -highspy.kHighsInf, limit, 0, [], [])
        for takes, weight in columns:
            at = [index[row] for row in takes]
            cost = 0.0 if with_short else weight
            model.addCol(cost, 0, highspy.kHighsInf, len(at), at, list(takes.values()))
        for t in range(len(site.demands) if with_short else 0):
            model.addCol(1.0, 0, highspy.kHighsInf, 1, [index["t", t]], [1.0])
        model.run()
        good = model.getModelStatus() == highspy.HighsModelStatus.kOptimal
        return model.getInfo().objective_function_value if good else None

    return solved(True) or 0.0, solved(False) or 0.0


@pytest.mark.parametrize("seed", range(60))
def test_generated_routes_are_as_good_as_all_routes_whatever_the_paths_look_like(seed: int) -> None:
    site = random_site(seed)
    short, moved = over_every_route(site)
    routing = best_routes(site)
    assert routing.short_hz == pytest.approx(short, abs=1e-4)
    assert routing.complete == (short < 1e-6)
    if routing.complete:
        assert routing.weighted_megabytes == pytest.approx(moved, abs=1e-3)
        assert served_multiple(site) >= 1 - 1e-6
    else:
        assert served_multiple(site) < 1


def triangle(local: float, big: int = 1) -> Task:
    """Three components, each passing a megabyte to all later ones; a small device holds two of them."""
    parts = [
        profile(name, {1: 0.5, 2: 1.0}, weights_gib=4, device=device)
        for name in "abc"
        for device in ("small", "big")
    ]
    nodes = NodeClass(count=1, devices={"small": 3, "big": big}, local=Link(gbit_s=local * 0.008))
    kinds = {"small": (10, 1.0), "big": (20, 5.0)}
    devices = {
        name: DeviceType(memory_gib=size, cost_per_hour=cost, usable=1)
        for name, (size, cost) in kinds.items()
    }
    invocations = tuple(Invocation(name, f"m/{name}", Work(mean=1.0)) for name in "abc")
    edges = tuple(Edge(*pair, 1e6) for pair in ("ab", "ac", "bc"))
    workload = Workload(rate_hz=1.0, request_types={"m/t": Traffic(share=1)}, ceiling=1.0)
    facts = {f"m/{name}": ComponentFacts("encoder") for name in "abc"}
    cluster, profiles = Cluster(devices=devices, nodes={"n": nodes}), Profiles(profiles=tuple(parts))
    return Task((Demand("m/t", 1.0, invocations, edges, ("c",)),), facts, workload, cluster, profiles)


def test_a_path_that_forks_and_joins_needs_more_than_its_edges_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Edge by edge, three small devices that hold a pair each could keep half of every edge: 1.5 MB would
    # move. But no route keeps more than one of its three edges: 2 MB do. A link between the two tells.
    cuts = []
    cut = searching._cut
    monkeypatch.setattr(searching, "_cut", lambda *question: cuts.append(cut(*question)) or cuts[-1])
    narrow = triangle(local=1.75)
    plan = make_plan(narrow, Options()).plan
    assert plan.totals.cost_per_hour == least_cost(narrow).cost == 6.0
    assert faults(plan) == []
    assert any(cuts)
    wide = triangle(local=2.1)
    assert make_plan(wide, Options()).plan.totals.cost_per_hour == least_cost(wide).cost == 2.0


def test_without_a_way_out_such_a_path_is_found_impossible() -> None:
    with pytest.raises(UserError, match=r"carries 0.875 \(87.5%\)"):
        make_plan(triangle(local=1.75, big=0), Options())
