"""manifest.json: what a build consists of, how to start a server on it, what it was made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path as File
from typing import Literal

from corntriton.repository.compiling import CompiledType
from corntriton.repository.packing import files_below

FILE = "manifest.json"
_FORMAT = 1

ModelKind = Literal["component", "executor", "orchestrator", "path", "ensemble", "probe", "gate", "transfer"]


@dataclass(frozen=True)
class ModelEntry:
    """A Triton model of the build.

    Attributes:
        name: Triton's.
        kind: What it is for; a `path` is an ensemble that only orchestrators call, an `ensemble` is one that
            clients may call; `transfer` brings tensors from other servers.
        serves: `<model>.<component>` of a component, also of those that share it; else the model.
        device: The kind of its instances, or None for an ensemble.
        instances: How many of them; on every GPU, where the kind is KIND_GPU and no GPUs are named.
        files: The SHA-256 of each file, by its path in the model's folder.
        gpus: The GPUs they are on, where a plan names them.
        executor: The plan's name of what it carries out.
    """

    name: str
    kind: ModelKind
    serves: tuple[str, ...]
    device: str | None
    instances: int
    files: Mapping[str, str]
    gpus: tuple[int, ...] = ()
    executor: str | None = None


@dataclass(frozen=True)
class WeightsEntry:
    """A file or folder of weights.

    Attributes:
        model: The Triton model it belongs to.
        path: Where it lies in the model's folder.
        source: What model.yaml calls it, variables not expanded.
        nbytes: Its size.
        linked: It is a link into the machine that built, not a copy.
    """

    model: str
    path: str
    source: str
    nbytes: int
    linked: bool


@dataclass(frozen=True)
class Manifest:
    """What was built.

    Attributes:
        corntriton: The version that built it.
        backends: `embedded` or `ngc`.
        models: Every Triton model, sorted by name.
        endpoints: The models that clients call.
        probes: The models to ask for readiness.
        tritonserver_flags: What the server has to be started with, beside ports and paths.
        requirements: What pip has to install beside numpy, as the components declare it.
        weights: Where the weights are from.
        notes: What a user should know: devices that were mapped, components that no request type visits.
        plan_sha256: Of the plan that was built from, as canonical JSON; None without one.
        paths: Of each request type: what was compiled, or why not, and how each tensor passes.
        role: The sort of server: nodes that serve the same have one. Empty where the plan has one sort only.
        calls: The other roles, whose servers this one calls.
        nodes: By node, the manifests of a build for several; then all before it is empty, and each lies
            in the node's folder too.
        format: Of this file.
    """

    corntriton: str
    backends: str
    models: tuple[ModelEntry, ...]
    endpoints: tuple[str, ...]
    probes: tuple[str, ...]
    tritonserver_flags: tuple[str, ...]
    requirements: tuple[str, ...]
    weights: tuple[WeightsEntry, ...]
    notes: tuple[str, ...]
    plan_sha256: str | None = None
    paths: tuple[CompiledType, ...] = ()
    role: str = ""
    calls: tuple[str, ...] = ()
    nodes: Mapping[str, Manifest] = field(default_factory=dict)
    format: int = _FORMAT

    def to_json(self) -> str:
        """The file's text; equal manifests give equal texts."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def of_nodes(nodes: Mapping[str, Manifest]) -> Manifest:
    """The manifest of a build for several nodes."""
    first = next(iter(nodes.values()))
    empty = Manifest(first.corntriton, first.backends, (), (), (), (), (), (), (), first.plan_sha256)
    return replace(empty, nodes=dict(nodes))


def hashes(folder: File) -> dict[str, str]:
    """The SHA-256 of every file below a folder, by its path there."""
    return {file.relative_to(folder).as_posix(): _sha256(file) for file in files_below(folder)}


def _sha256(file: File) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
