"""Solves small planning tasks by trying everything; shares no code with the planner, only its inputs.

Every way to fill the nodes with executors is tried, cheapest first; for each, a linear program over every
route says whether it carries the demand. Nothing is pruned but what a count of capacity alone excludes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, combinations, combinations_with_replacement, product

import highspy
import numpy as np

from corntriton.planner.task import Task

CROSS_NODE_WEIGHT = 10.0  # as docs/planning.md has it


@dataclass(frozen=True)
class Box:
    """An executor: the share of it that a run takes, by resource and (component, work)."""

    device: str
    members: tuple[str, ...]
    time: dict[tuple[str, float], float]
    cache: dict[tuple[str, float], float]


@dataclass(frozen=True)
class Best:
    """The least cost, and the least weighted megabytes per second among all plans of that cost."""

    cost: float
    megabytes: float | None


def least_cost(task: Task, with_bytes: bool = False) -> Best | None:
    """The optimum; None if nothing carries the demand."""
    found: float | None = None
    megabytes: float | None = None
    for cost, nodes in _fillings(task):
        if found is not None and cost > found + 1e-9:
            break
        if not _enough(task, nodes):
            continue
        carried = _route(task, nodes, with_bytes)
        if carried is not None:
            found = cost
            if not with_bytes:
                return Best(cost, None)
            megabytes = carried if megabytes is None else min(megabytes, carried)
    return None if found is None else Best(found, megabytes)


def most_served(task: Task) -> float:
    """The largest multiple of the workload; only full nodes are tried, for more can do no less."""
    devices = sum(nodes.size * sum(nodes.devices.values()) for nodes in task.cluster.nodes.values())
    full = [nodes for _, nodes in _fillings(task) if sum(map(len, nodes)) == devices]
    # Where a device type can hold nothing at all, the fullest there is.
    most = max((sum(map(len, nodes)) for _, nodes in _fillings(task)), default=0)
    full = full or [nodes for _, nodes in _fillings(task) if sum(map(len, nodes)) == most]
    return max((_route(task, nodes, False, served=True) or 0.0 for nodes in full), default=0.0)


def _boxes(task: Task) -> list[Box]:
    names = sorted({i.component for d in task.demands for i in d.invocations})
    sets = chain.from_iterable(combinations(names, size) for size in range(1, len(names) + 1))
    return [
        box for members in sets for device in task.cluster.devices for box in _sized(task, members, device)
    ]


def _sized(task: Task, members: tuple[str, ...], device: str) -> Iterator[Box]:
    profiles = {p.component: p for p in task.profiles.profiles if p.device == device}
    if any(name not in profiles for name in members):
        return
    works = {
        name: sorted({i.work.mean for d in task.demands for i in d.invocations if i.component == name})
        for name in members
    }
    for batches in product((1, 2), repeat=len(members)):
        used, llm = 0.0, None
        for name, batch in zip(members, batches, strict=True):
            memory = profiles[name].memory
            used += memory.weights_bytes + batch * memory.item_bytes
            if task.components[name].kind == "llm":
                llm = name
            else:
                used += batch * memory.work_bytes * works[name][-1]
        left = task.cluster.devices[device].memory_gib * 2**30 - used
        if left < 0:
            continue
        if llm and batches[members.index(llm)] * profiles[llm].memory.work_bytes * works[llm][0] > left:
            continue  # a batch is not larger than what the cache holds of the smallest work
        time, cache = {}, {}
        for name, batch in zip(members, batches, strict=True):
            for work in works[name]:
                seconds = _seconds(profiles[name], batch, work)
                if name == llm:
                    held = profiles[name].memory.work_bytes * work
                    if held > left:
                        continue
                    cache[name, work] = seconds * held / left
                time[name, work] = seconds / batch
        yield Box(device, members, time, cache)


def _seconds(profile: object, batch: int, work: float) -> float:
    points = sorted((s.work, s.latency.mean_s) for s in profile.samples if s.batch == batch)
    if len(points) == 1:
        return points[0][1] * work / points[0][0]
    return float(np.interp(work, [w for w, _ in points], [s for _, s in points]))


def _fillings(task: Task) -> Iterator[tuple[float, tuple[tuple[Box, ...], ...]]]:
    """Every content of all nodes, cheapest first."""
    (nodes,) = task.cluster.nodes.values()
    by_device = {device: [b for b in _boxes(task) if b.device == device] for device in task.cluster.devices}
    contents = []
    per_device = [
        [
            c
            for size in range(count + 1)
            for c in combinations_with_replacement(range(len(by_device[d])), size)
        ]
        for d, count in nodes.devices.items()
    ]
    for choice in product(*per_device):
        boxes = tuple(by_device[d][k] for d, ks in zip(nodes.devices, choice, strict=True) for k in ks)
        contents.append((sum(task.cluster.devices[b.device].cost_per_hour for b in boxes), boxes))
    contents.sort(key=lambda content: content[0])
    fillings = combinations_with_replacement(contents, nodes.size)
    yield from sorted(
        ((sum(cost for cost, _ in filling), tuple(boxes for _, boxes in filling)) for filling in fillings),
        key=lambda filling: filling[0],
    )


def _enough(task: Task, nodes: tuple[tuple[Box, ...], ...]) -> bool:
    """Whether each component has the time it needs when it has all boxes to itself, and all share them."""
    boxes = [box for node in nodes for box in node]
    ceiling, total = task.workload.ceiling, 0.0
    for name in {i.component for d in task.demands for i in d.invocations}:
        jobs = [(d.rate_hz * i.runs, (name, i.work.mean)) for d in task.demands for i in d.invocations
                if i.component == name]  # fmt: skip
        mine = [box for box in boxes if name in box.members]
        fastest = [min((box.time[job] for box in mine if job in box.time), default=np.inf) for _, job in jobs]
        need = sum(rate * time for (rate, _), time in zip(jobs, fastest, strict=True))
        total += need
        if need > ceiling * len(mine) + 1e-9:
            return False
    return total <= ceiling * len(boxes) + 1e-9


def _route(
    task: Task, nodes: tuple[tuple[Box, ...], ...], with_bytes: bool, served: bool = False
) -> float | None:
    """The least weighted megabytes per second of routes that carry all, or the multiple they carry."""
    cells: list[tuple[Box, int]] = []
    counts: list[int] = []
    for node, boxes in enumerate(nodes):
        for box in dict.fromkeys(map(id, boxes)):
            cells.append((next(b for b in boxes if id(b) == box), node))
            counts.append(sum(id(b) == box for b in boxes))
    (spec,) = task.cluster.nodes.values()
    rows: dict[tuple[object, ...], float] = {}
    for number, count in enumerate(counts):
        rows["time", number] = rows["cache", number] = task.workload.ceiling * count
    for node in range(len(nodes)):
        rows["local", node] = spec.local.gbit_s * 125
        rows["out", node] = rows["in", node] = spec.nic.gbit_s * 125
    columns = []
    for t, demand in enumerate(task.demands):
        able = [
            [n for n, (box, _) in enumerate(cells) if (i.component, i.work.mean) in box.time]
            for i in demand.invocations
        ]
        for stops in product(*able):
            columns.append((t, *_takes(demand, cells, stops)))
    return _solve(task, rows, columns, with_bytes, served)


def _takes(demand: object, cells: list[tuple[Box, int]], stops: tuple[int, ...]) -> tuple[dict, float]:
    taken: dict[tuple[object, ...], float] = {}

    def add(row: tuple[object, ...], amount: float) -> None:
        taken[row] = taken.get(row, 0.0) + amount

    weight = 0.0
    for invocation, stop in zip(demand.invocations, stops, strict=True):
        job = (invocation.component, invocation.work.mean)
        add(("time", stop), invocation.runs * cells[stop][0].time[job])
        add(("cache", stop), invocation.runs * cells[stop][0].cache.get(job, 0.0))
    at = {i.id: stop for i, stop in zip(demand.invocations, stops, strict=True)}
    for edge in demand.edges:
        one, other = at[edge.producer], at[edge.consumer]
        here, there, megabytes = cells[one][1], cells[other][1], edge.nbytes / 1e6
        if one != other and here == there:
            add(("local", here), megabytes)
            weight += megabytes
        elif one != other:
            add(("out", here), megabytes)
            add(("in", there), megabytes)
            weight += CROSS_NODE_WEIGHT * megabytes
    return taken, weight


def _solve(task: Task, rows: dict, columns: list, with_bytes: bool, served: bool) -> float | None:
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    index = {row: number for number, row in enumerate(rows)}
    for limit in rows.values():
        model.addRow(-highspy.kHighsInf, limit, 0, [], [])
    for demand in task.demands:
        rate = 0 if served else demand.rate_hz
        model.addRow(rate, rate, 0, [], [])
    if served:  # a column for the multiple, taken from every demand
        takes = {len(rows) + t: -demand.rate_hz for t, demand in enumerate(task.demands)}
        model.addCol(-1.0, 0, highspy.kHighsInf, len(takes), list(takes), list(takes.values()))
    for t, taken, weight in columns:
        entries = {index[row]: amount for row, amount in taken.items() if amount} | {len(rows) + t: 1.0}
        cost = weight if with_bytes else 0.0
        model.addCol(cost, 0, highspy.kHighsInf, len(entries), list(entries), list(entries.values()))
    model.run()
    if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    value = model.getInfo().objective_function_value
    return -value if served else value


def size(task: Task) -> int:
    """How many ways there are to fill the nodes: what trying everything takes."""
    return sum(1 for _ in _fillings(task))
