"""`corntriton deploy`: a build and a target in, a folder with what runs the one on the other out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path as File

import corntriton
from corntriton.deploy import compose, helm, ngc
from corntriton.deploy.reading import read_site
from corntriton.deploy.site import Files, Site
from corntriton.errors import Problem, Problems, UserError
from corntriton.repository.publish import replacing
from corntriton.repository.templates import Templates

MARK = "deploy.json"

_EMITTERS: Mapping[str, Callable[[Site, Templates], Files]] = {
    "ngc": ngc.emit,
    "compose": compose.emit,
    "helm": helm.emit,
}


@dataclass(frozen=True)
class Deployed:
    """What was written.

    Attributes:
        target: For what.
        site: What it runs.
        files: Their names below OUT, sorted.
    """

    target: str
    site: Site
    files: tuple[str, ...]


def deploy(folder: File, target: str, out: File, release: str) -> Deployed:
    """Writes what runs a build elsewhere.

    Args:
        folder: What `corntriton build` wrote.
        target: `ngc`, `compose` or `helm`.
        out: The folder to write; what an earlier deploy wrote there is replaced as a whole.
        release: Of NVIDIA's images.

    Raises:
        UserError: With every reason why it cannot be done.
    """
    problems = Problems()
    if target not in _EMITTERS:
        problems.add("--to", target, "is no target", f"write one of {', '.join(_EMITTERS)}")
    try:
        site = read_site(folder, release)
    except UserError as error:
        problems.extend(error)
    problems.raise_if_any()
    if out.resolve().is_relative_to(folder.resolve()):
        what = "lies in the build, which the next `corntriton build` replaces as a whole"
        raise UserError([Problem(str(out), "$", what, "name a folder beside the build")])
    files = dict(_EMITTERS[target](site, Templates()))
    files[MARK] = _mark(target, site, files)
    with replacing(out, MARK) as new:
        for name, text in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_text(text, encoding="utf-8")
            (new / name).chmod(0o755 if name.endswith(".sh") else 0o644)
    return Deployed(target, site, tuple(sorted(files)))


def to_json(deployed: Deployed, out: File) -> dict[str, object]:
    """What `--json` prints."""
    roles = [
        {
            "name": role.name,
            "nodes": role.nodes,
            "gpus": role.gpus,
            "shm_bytes": role.shared_memory.nbytes,
            "bottleneck": role.bottleneck.models,
        }
        for role in deployed.site.roles
    ]
    return {"to": deployed.target, "out": str(out), "roles": roles, "files": deployed.files}


def _mark(target: str, site: Site, files: Files) -> str:
    """By which a later deploy knows its own; also says what was made from what."""
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    data = {
        "corntriton": corntriton.__version__,
        "to": target,
        "release": site.release,
        "manifest_sha256": site.digest,
        "files": digests,
    }
    return json.dumps(data, indent=1, sort_keys=True) + "\n"
