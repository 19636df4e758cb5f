"""Executor types worth considering: demands, profiles and a cluster in, candidates out, dominated ones gone.

Pruning keeps the optimum. Candidate A dominates B when it holds B's components, needs no more devices of
the same type, may stand wherever B may, and takes, of every resource and for every job that B runs, no
larger a share. Put an A in the place of every B of any plan and give it B's load: every constraint still
holds, the cost is no higher, and no edge moves that did not move before. So some best plan has no B.
What such a plan loads and never uses is taken out of it again at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, combinations

import numpy as np

from corntriton.planner.curves import Library
from corntriton.planner.demand import ComponentFacts, Demand
from corntriton.planner.limits import Limits
from corntriton.planner.sizing import Candidate, Sizing
from corntriton.spec.cluster import Cluster
from corntriton.spec.workload import Hints

ALL_SUBSETS_UP_TO = 8  # components; see useful_sets
SMALL_SET = 3

Components = tuple[str, ...]


def useful_sets(demands: Sequence[Demand]) -> list[Components]:
    """The sets of components that may live together, smallest first.

    Up to eight components, every set. Of more: every set of three, every part of a request type's path
    (of its first eight components), every model whole, and all of it together.
    """
    visited = [sorted({invocation.component for invocation in d.invocations}) for d in demands]
    names = sorted(set(chain.from_iterable(visited)))
    if len(names) <= ALL_SUBSETS_UP_TO:
        found = set(_subsets(names, len(names)))
    else:
        found = set(_subsets(names, SMALL_SET)) | set(monoliths(demands)) | {tuple(names)}
        found |= set(chain.from_iterable(_subsets(path[:ALL_SUBSETS_UP_TO], len(path)) for path in visited))
    return sorted(found, key=lambda members: (len(members), members))


def monoliths(demands: Sequence[Demand]) -> list[Components]:
    """For each model, all components that its requests visit."""
    models: dict[str, set[str]] = {}
    for demand in demands:
        models.setdefault(demand.model, set()).update(i.component for i in demand.invocations)
    return [tuple(sorted(names)) for names in models.values()]


def allowed(members: Components, hints: Hints) -> bool:
    """Whether hints let the set live together."""
    inside = set(members)
    together = all(inside >= set(names) or not inside & set(names) for names in hints.colocate)
    return together and all(len(inside & set(names)) < 2 for names in hints.separate)


def find_candidates(
    sets: Iterable[Components],
    components: Mapping[str, ComponentFacts],
    library: Library,
    cluster: Cluster,
    hints: Hints,
    limits: Limits,
) -> list[Candidate]:
    """Every candidate of the given sets that hints allow, dominated ones included."""
    found = []
    for device, device_type in cluster.devices.items():
        sizing = Sizing(device, device_type.usable_bytes, components, library, limits)
        for members in sets:
            classes = _node_classes(members, device, cluster, hints)
            if classes and allowed(members, hints):
                found += list(sizing.candidates(members, classes))
    return found


def prune(candidates: Sequence[Candidate], same_set: bool = False) -> list[Candidate]:
    """The candidates that no other dominates.

    Args:
        candidates: Any.
        same_set: Only a candidate of the same components may replace one: for questions where it matters
            which sets there are.
    """
    if not candidates:
        return []
    takes = _matrix(candidates)
    gone = np.zeros(len(candidates), dtype=bool)
    # Larger sets first: of two equals the one that can do more stays.
    for index in sorted(range(len(candidates)), key=lambda i: -len(candidates[i].members)):
        if not gone[index]:
            worse = np.all(takes[index] <= takes * (1 + 1e-12), axis=1) & ~gone
            worse[index] = False
            for other in np.flatnonzero(worse):
                gone[other] = _may_replace(candidates[index], candidates[other], same_set)
    return [candidate for candidate, dead in zip(candidates, gone, strict=True) if not dead]


def best_configs(candidates: Sequence[Candidate], limits: Limits) -> Iterator[Candidate]:
    """Of each set on each device type, the candidate that carries the largest multiple of all its jobs."""
    best: dict[tuple[str, Components], tuple[tuple[float, float], Candidate]] = {}
    for candidate in candidates:
        jobs = [job for name in candidate.components for job in limits.jobs_of(name)]
        refused = sum(not candidate.runs(job) for job in jobs)
        load = max(
            sum(limits.rate_hz[job] * shares.get(job, 0.0) for job in jobs)
            for shares in candidate.uses.values()
        )
        rank = (float(refused), load * candidate.group)
        key = (candidate.device, candidate.components)
        if key not in best or rank < best[key][0]:
            best[key] = (rank, candidate)
    return (candidate for _, candidate in best.values())


def _may_replace(one: Candidate, other: Candidate, same_set: bool) -> bool:
    if same_set and one.components != other.components:
        return False
    fits = one.device == other.device and one.group <= other.group
    return fits and set(one.node_classes) >= set(other.node_classes)


def _matrix(candidates: Sequence[Candidate]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """A row for each candidate: shares taken, by resource and job; infinity where it does not run the job."""
    jobs = sorted({job for c in candidates for job in c.latency_s}, key=lambda job: (job.component, job.work))
    resources = sorted({resource for c in candidates for resource in c.uses})
    rows = [
        [
            c.uses.get(resource, {}).get(job, 0.0 if c.runs(job) else np.inf)
            for resource in resources
            for job in jobs
        ]
        for c in candidates
    ]
    return np.array(rows, dtype=np.float64)


def _node_classes(members: Components, device: str, cluster: Cluster, hints: Hints) -> dict[str, int]:
    """Devices per node of the classes where the set may stand."""
    pins = [hints.pin[name] for name in members if name in hints.pin]
    if any(pin.device not in (None, device) for pin in pins):
        return {}
    return {
        name: nodes.devices[device]
        for name, nodes in cluster.nodes.items()
        if nodes.devices.get(device) and all(name in pin.nodes for pin in pins if pin.nodes)
    }


def _subsets(names: Sequence[str], largest: int) -> Iterator[Components]:
    return chain.from_iterable(combinations(names, size) for size in range(1, largest + 1))
