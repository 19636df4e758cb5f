"""Sorts nodes into roles: the manifests of a build and its plan in, one role for each sort of server out."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path as File

from corntriton.deploy.backends import backends_of, builds_engines
from corntriton.deploy.bottleneck import bottleneck
from corntriton.deploy.memory import shared_memory
from corntriton.deploy.packed import fingerprint, settings_of
from corntriton.deploy.site import LatencyAlert, Role
from corntriton.planner.plan import Plan
from corntriton.repository.manifest import Manifest, ModelEntry
from corntriton.repository.reasons import reasons_for
from corntriton.repository.server import REPOSITORY

_ALONE = "server"
_SHORTEST_EXIT_S = 30


def make_roles(folder: File, nodes: Mapping[str, Manifest], plan: Plan | None) -> Iterator[Role]:
    """The roles, in the order of their first nodes; those of the build, or nodes that serve the same.

    Args:
        folder: The build.
        nodes: The manifest of each node, by the node's folder below that; "" where there is one only.
        plan: What the build was made from.
    """
    alike: dict[object, list[str]] = {}
    for node, manifest in nodes.items():
        key = manifest.role or _fingerprint(folder / node / REPOSITORY, manifest)
        alike.setdefault(key, []).append(node)
    groups = list(alike.values())
    names = _names([_node_class(plan, _planned(plan, group[0])) for group in groups])
    for name, group in zip(names, groups, strict=True):
        first = group[0]
        planned = tuple(_planned(plan, node) for node in group) if plan else ()
        yield _role(name, planned, folder / first / REPOSITORY, nodes[first], plan)


def _role(name: str, nodes: tuple[str, ...], repository: File, manifest: Manifest, plan: Plan | None) -> Role:
    node = nodes[0] if nodes else None
    gpus = _gpus(manifest, repository)
    types = _request_types(repository, manifest, plan)
    return Role(
        name,
        manifest.role,
        nodes,
        repository,
        manifest,
        backends_of(manifest),
        builds_engines(manifest),
        gpus,
        shared_memory(manifest, repository, gpus),
        bottleneck(manifest, repository, plan, node),
        types,
        tuple(_latencies(plan, types)),
        _exit_timeout_s(repository, manifest),
        tuple(_reasons(plan, node, nodes)),
    )


def _planned(plan: Plan | None, node: str) -> str:
    """The plan's name of a node; of a build that lies in one folder, the only node that has anything."""
    if node or plan is None:
        return node
    return next(place.node for executor in plan.executors for place in executor.instances)


def _node_class(plan: Plan | None, node: str) -> str:
    found = dict(plan.cluster.all_nodes()).get(node, node) if plan else _ALONE
    return re.sub(r"[^a-z0-9]+", "-", found.lower()).strip("-")[:40] or _ALONE


def _names(classes: list[str]) -> list[str]:
    """The class where it has one role, else numbered."""
    total, seen = Counter(classes), Counter[str]()
    names = []
    for each in classes:
        names.append(each if total[each] == 1 else f"{each}-{seen[each]}")
        seen[each] += 1
    return names


def _fingerprint(repository: File, manifest: Manifest) -> object:
    models = tuple(fingerprint(repository, model) for model in manifest.models)
    return models, manifest.tritonserver_flags, manifest.requirements, manifest.endpoints


def _gpus(manifest: Manifest, repository: File) -> int:
    """How many GPUs a server has to see, so that the numbers which the configs name are there."""
    named = {gpu for model in manifest.models for gpu in _named(repository, model)}
    any_at_all = any("KIND_GPU" in (model.device or "") for model in manifest.models)
    return max(named) + 1 if named else int(any_at_all)


def _named(repository: File, model: ModelEntry) -> set[int]:
    return {*model.gpus, *settings_of(repository, model).get("devices", ())}


def _request_types(repository: File, manifest: Manifest, plan: Plan | None) -> tuple[str, ...]:
    """Any server of a plan takes any request."""
    if plan is not None:
        return tuple(demand.name for demand in plan.demands)
    found = {
        f"{each.serves[0]}/{path}"
        for each in manifest.models
        if each.kind == "orchestrator"
        for path in settings_of(repository, each)["paths"]
    }
    return tuple(sorted(found))


def _latencies(plan: Plan | None, types: tuple[str, ...]) -> Iterator[LatencyAlert]:
    for demand in plan.demands if plan else ():
        for target in demand.targets if demand.name in types else ():
            if target.of == "completion":
                model, _, request_type = demand.name.partition("/")
                yield LatencyAlert(model, request_type, target.percentile, target.seconds)


def _exit_timeout_s(repository: File, manifest: Manifest) -> int:
    """The longest deadline of a model here."""
    orchestrators = (model for model in manifest.models if model.kind == "orchestrator")
    deadlines_s = [float(settings_of(repository, model)["deadline_s"]) for model in orchestrators]
    return max(_SHORTEST_EXIT_S, math.ceil(max(deadlines_s)))


def _reasons(plan: Plan | None, node: str | None, nodes: tuple[str, ...]) -> Iterator[str]:
    if plan is None or node is None:
        yield "No plan was given: one server with what each model.yaml asks for."
        return
    yield f"The plan's node{'s' if len(nodes) > 1 else ''} {', '.join(nodes)}."
    for executor in plan.executors:
        count = executor.count_on(node)
        if count:
            yield from reasons_for(plan, executor, node, count)
