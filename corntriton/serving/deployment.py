"""What a server is to load: the folder that `corntriton build` wrote, or any Triton model repository."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corntriton.errors import Problem, UserError

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Deployment:
    """One server's share.

    Attributes:
        repository: The model repository, absolute.
        flags: What tritonserver is to be started with, beside ports and paths.
        models: All Triton models by name, with what they are for: `component`, `orchestrator`, ..., or
            `model` where no manifest says.
        endpoints: The models that clients call.
        probes: Models that are ready only when all that they stand for can answer.
        role: The sort of server, where servers of several sorts work as one; else empty.
        calls: The other roles, whose servers this one calls.
    """

    repository: Path
    flags: tuple[str, ...]
    models: Mapping[str, str]
    endpoints: tuple[str, ...]
    probes: tuple[str, ...]
    role: str = ""
    calls: tuple[str, ...] = ()


def read_nodes(folder: Path) -> dict[str, Deployment]:
    """Reads a build for several nodes; by node. Of any other folder there is one, without a name.

    Raises:
        UserError: It is neither a build nor a model repository.
    """
    if (folder / MANIFEST).is_file():
        nodes = json.loads((folder / MANIFEST).read_text(encoding="utf-8")).get("nodes", {})
        if nodes:
            return {node: read_deployment(folder / node) for node in nodes}
    return {"": read_deployment(folder)}


def read_deployment(folder: Path) -> Deployment:
    """Reads a built folder by its manifest, any other as a model repository whose models are all endpoints.

    Raises:
        UserError: It is neither, or a build for several nodes.
    """
    if (folder / MANIFEST).is_file():
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest.get("nodes"):
            fix = f"serve each on its node: corntriton serve {folder / next(iter(manifest['nodes']))}"
            raise UserError([Problem(str(folder), "$", "is a build for several nodes", fix)])
        return _built(folder.resolve(), manifest)
    models = sorted(config.parent.name for config in folder.glob("*/config.pbtxt"))
    if not models:
        what = f"holds neither {MANIFEST} nor a model with config.pbtxt"
        fix = "name a folder that `corntriton build` has written"
        raise UserError([Problem(str(folder), "$", what, fix)])
    return Deployment(folder.resolve(), (), dict.fromkeys(models, "model"), tuple(models), ())


def _built(folder: Path, manifest: Mapping[str, Any]) -> Deployment:
    return Deployment(
        folder / "model_repository",
        tuple(manifest["tritonserver_flags"]),
        {model["name"]: model["kind"] for model in manifest["models"]},
        tuple(manifest["endpoints"]),
        tuple(manifest["probes"]),
        manifest.get("role", ""),
        tuple(manifest.get("calls", ())),
    )
