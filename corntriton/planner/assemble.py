"""Writes a solution down as a plan: cells become executors with places, columns become routes of nodes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from itertools import count, islice, pairwise

from corntriton.planner.curves import Library
from corntriton.planner.demand import ComponentFacts
from corntriton.planner.forecast import forecast
from corntriton.planner.milp import Cell
from corntriton.planner.plan import (
    Cache,
    Executor,
    Member,
    Objective,
    Place,
    Plan,
    Route,
    Stop,
    Totals,
    Usage,
)
from corntriton.planner.routes import served_multiple
from corntriton.planner.search import Solution
from corntriton.planner.site import Column
from corntriton.planner.sizing import CACHE, TIME, setting_of
from corntriton.planner.task import Task

SMALLEST_SHARE = 1e-5  # of a type's requests; what a solver leaves below is noise

Kind = tuple[str, int, tuple[Member, ...]]  # device type, devices of an instance, members


def assemble(
    task: Task, solution: Solution, objective: Objective, notes: tuple[str, ...], running: Plan | None = None
) -> Plan:
    """The plan of a solution, with figures rounded as plan.json has them.

    Args:
        task: What the plan is for.
        solution: What the search found.
        objective: How good it is.
        notes: For readers of the plan.
        running: A plan whose instances keep their devices where they stay on their node.
    """
    writer = _Writer(task, solution, running)
    executors = writer.executors()
    routes = tuple(writer.routes())
    devices: Counter[str] = Counter()
    for executor in executors:
        devices[executor.device] += executor.devices_per_instance * len(executor.instances)
    places = [place for executor in executors for place in executor.instances]
    costs = {device: task.cluster.devices[device].cost_per_hour for device in devices}
    totals = Totals(
        dict(sorted(devices.items())),
        sum(count * costs[device] for device, count in devices.items()),
        len(places),
        len({place.node for place in places}),
    )
    plan = Plan(
        task.workload, task.cluster, task.profiles, task.demands, executors, routes, totals, objective,
        {}, solution.served * served_multiple(solution.placed.site), task.components, notes,
    )  # fmt: skip
    plan = replace(plan, predicted=forecast(plan, solution.served))
    return Plan.from_json(plan.to_json())


class _Writer:
    """Turns cells into executors; what no route visits is left out of its executor."""

    def __init__(self, task: Task, solution: Solution, running: Plan | None) -> None:
        self._task = task
        self._running = {(e.device, e.devices_per_instance, e.members): e for e in _executors_of(running)}
        self._library = task.library
        self._site = solution.placed.site
        self._served = solution.served
        self._shares = _shares(solution.placed.routing.rates)
        self._visited = self._visited_components()
        kinds = {cell[0]: self._kind(cell[0]) for cell in self._site.counts}
        self._kinds: dict[int, Kind] = {c: kind for c, kind in kinds.items() if kind[2]}
        self._names = _names(set(self._kinds.values()))

    def executors(self) -> tuple[Executor, ...]:
        """By name."""
        places = self._places()
        return tuple(
            self._executor(
                name, kind, tuple(sorted(places[kind], key=lambda place: (place.node, place.devices)))
            )
            for kind, name in sorted(self._names.items(), key=lambda item: item[1])
        )

    def routes(self) -> Iterator[Route]:
        """By request type, the most used first."""
        for number, demand in enumerate(self._task.demands):
            found: dict[tuple[Stop, ...], float] = defaultdict(float)
            for cells, share in self._shares[number].items():
                for nodes, part in self._spread([group for _, group in cells]):
                    found[tuple(Stop(self._name(c), nodes[group]) for c, group in cells)] += share * part
            ids = [invocation.id for invocation in demand.invocations]
            for stops, share in sorted(found.items(), key=lambda item: (-round(item[1], 9), str(item[0]))):
                yield Route(demand.name, share, dict(zip(ids, stops, strict=True)))

    def _visited_components(self) -> dict[int, set[str]]:
        visited: dict[int, set[str]] = defaultdict(set)
        for number, routes in self._shares.items():
            for cells in routes:
                for invocation, (c, _) in zip(self._task.demands[number].invocations, cells, strict=True):
                    visited[c].add(invocation.component)
        return visited

    def _kind(self, c: int) -> Kind:
        candidate = self._site.candidates[c]
        members = tuple(m for m in candidate.members if m.component in self._visited[c])
        return candidate.device, candidate.group, members

    def _name(self, c: int) -> str:
        return self._names[self._kinds[c]]

    def _spread(self, groups: list[int]) -> Iterator[tuple[dict[int, str], float]]:
        """Deals a route out to nodes: every node of each group gets a like part."""
        sizes = {group: self._site.groups[group].size for group in groups}
        marks = sorted({k / size for size in sizes.values() for k in range(size + 1)})
        for low, high in pairwise(marks):
            middle = (low + high) / 2
            yield {g: self._site.groups[g].nodes[int(middle * size)] for g, size in sizes.items()}, high - low

    def _places(self) -> dict[Kind, list[Place]]:
        """Instances that run already keep their devices; others get free ones, large groups first."""
        held: dict[str, Counter[Kind]] = defaultdict(Counter)
        for (c, group), together in self._site.counts.items():
            for node in self._site.groups[group].nodes if c in self._kinds else ():
                held[node][self._kinds[c]] += together // self._site.groups[group].size
        places: dict[Kind, list[Place]] = defaultdict(list)
        for node, kinds in held.items():
            taken: dict[str, set[int]] = defaultdict(set)
            for kind, wanted in kinds.items():
                for place in self._running_on(node, kind)[:wanted]:
                    places[kind].append(place)
                    taken[kind[0]].update(place.devices)
            for kind in sorted(kinds, key=lambda kind: (-kind[1], self._names[kind])):
                device, size, _ = kind
                while sum(place.node == node for place in places[kind]) < kinds[kind]:
                    devices = _first_free(taken[device], size)
                    places[kind].append(Place(node, devices))
                    taken[device].update(devices)
        return places

    def _running_on(self, node: str, kind: Kind) -> list[Place]:
        executor = self._running.get(kind)
        return [place for place in executor.instances if place.node == node] if executor else []

    def _executor(self, name: str, kind: Kind, places: tuple[Place, ...]) -> Executor:
        device, size, members = kind
        usable = self._task.cluster.devices[device].usable_bytes
        taken = sum((m.weights_bytes + m.batch_bytes) / m.tensor_parallel for m in members)
        executor = Executor(name, device, size, members, places)
        time, held = self._load(executor)
        caches = _caches(executor, size * (usable - taken), held, self._library, self._task.components)
        limit = self._task.workload.ceiling
        usage = [Usage(TIME, time / len(places), limit)]
        for cache in caches:
            used = held[cache.component] * cache.bytes_per_work / cache.nbytes if cache.nbytes else 0.0
            usage.append(Usage(f"{CACHE} of {cache.component}", used, limit))
        usage.sort(key=lambda item: -item.used)
        return replace(executor, caches=caches, usage=tuple(usage))

    def _load(self, executor: Executor) -> tuple[float, dict[str, float]]:
        """Instances that are busy all the time, and work that lies in each llm's caches, per instance."""
        busy, held = 0.0, dict.fromkeys(executor.components, 0.0)
        for number, routes in self._shares.items():
            demand = self._task.demands[number]
            for cells, share in routes.items():
                for invocation, (c, _) in zip(demand.invocations, cells, strict=True):
                    if self._kinds.get(c) != (
                        executor.device,
                        executor.devices_per_instance,
                        executor.members,
                    ):
                        continue
                    rate = demand.rate_hz * self._served * share * invocation.runs
                    busy += rate * self._site.candidates[c].uses[TIME][invocation.job]
                    residence = self._site.candidates[c].latency_s[invocation.job]
                    held[invocation.component] += rate * residence * invocation.work.mean
        return busy, {component: work / len(executor.instances) for component, work in held.items()}


def _executors_of(plan: Plan | None) -> tuple[Executor, ...]:
    return plan.executors if plan else ()


def _first_free(taken: Container[int], size: int) -> tuple[int, ...]:
    """The first devices that are free; a group need not lie side by side where something ran before."""
    return tuple(islice((index for index in count() if index not in taken), size))


def _shares(rates: Mapping[Column, float]) -> dict[int, dict[tuple[Cell, ...], float]]:
    """By request type and route, the share of the type's requests; largest first, noise left out."""
    totals: dict[int, float] = defaultdict(float)
    for column, rate in rates.items():
        totals[column.demand] += rate
    kept = {c: r for c, r in rates.items() if r >= SMALLEST_SHARE * totals[c.demand]}
    sums: dict[int, float] = defaultdict(float)
    for column, rate in kept.items():
        sums[column.demand] += rate
    shares: dict[int, dict[tuple[Cell, ...], float]] = defaultdict(dict)
    for column, rate in sorted(kept.items(), key=lambda item: (item[0].demand, -item[1], item[0].cells)):
        shares[column.demand][column.cells] = rate / sums[column.demand]
    return shares


def _caches(
    executor: Executor,
    pool_bytes: float,
    held: Mapping[str, float],
    library: Library,
    components: Mapping[str, ComponentFacts],
) -> tuple[Cache, ...]:
    """The llms' caches: as measured, or parts of what memory is left, in proportion to their use."""
    llms = [member for member in executor.members if components[member.component].kind == "llm"]
    curves = {m.component: library.curve(m.component, setting_of(executor.device, m), m.beside) for m in llms}
    memory = {component: curve.profile.memory for component, curve in curves.items()}
    used = {m.component: held[m.component] * memory[m.component].work_bytes for m in llms}
    total = sum(used[name] for name in used if not memory[name].resident_work)
    caches = []
    for member in llms:
        own = memory[member.component]
        copies = executor.devices_per_instance // member.tensor_parallel
        if own.resident_work:
            per_work = own.work_bytes or 1.0  # what a token takes is not known: count tokens
            caches.append(Cache(member.component, own.resident_work * copies * per_work, per_work))
        else:
            share = used[member.component] / total if total else 1.0
            caches.append(Cache(member.component, pool_bytes * share, own.work_bytes))
    return tuple(caches)


def _names(kinds: set[Kind]) -> dict[Kind, str]:
    """A name for each kind of executor: `a+b@device`, and `#2` for a second config of the same set."""
    full = {member.component for kind in kinds for member in kind[2]}
    bare = Counter(component.partition("/")[2] for component in full)

    def short(component: str) -> str:
        name = component.partition("/")[2]
        return name if bare[name] == 1 else component

    names: dict[Kind, str] = {}
    seen: Counter[str] = Counter()
    for kind in sorted(kinds, key=str):
        device, size, members = kind
        name = "+".join(short(member.component) for member in members) + f"@{device}"
        name += f"x{size}" if size > 1 else ""
        seen[name] += 1
        names[kind] = name if seen[name] == 1 else f"{name}#{seen[name]}"
    return names
