"""Reads a build; its manifest and its plan in, a Site out, or every reason why it cannot be deployed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path as File

from pydantic import TypeAdapter, ValidationError

from corntriton.deploy.backends import OLDEST_RELEASE, image, without_image
from corntriton.deploy.roles import make_roles
from corntriton.deploy.site import Site
from corntriton.errors import Problems, UserError
from corntriton.planner.plan import Plan
from corntriton.planner.reading import read_plan
from corntriton.repository import manifest as manifests
from corntriton.repository.build import PLAN
from corntriton.repository.manifest import Manifest

_ADAPTER: TypeAdapter[Manifest] = TypeAdapter(Manifest)
_BUILD = "corntriton build"


def read_site(folder: File, release: str) -> Site:
    """What is to be deployed.

    Args:
        folder: What `corntriton build` wrote.
        release: Of NVIDIA's images.

    Raises:
        UserError: With every reason why it cannot be.
    """
    problems = Problems()
    _check_release(release, problems)
    built = read_manifest(folder, problems)
    if built is None:
        problems.raise_if_any()
        raise AssertionError("a manifest that is not there has been noted")
    nodes = built.nodes or {"": built}
    for node, its_manifest in nodes.items():
        _check_manifest(folder / node, its_manifest, release, problems)
    plan = _read_plan(folder, built, problems)
    problems.raise_if_any()
    digest = hashlib.sha256(built.to_json().encode()).hexdigest()
    return Site(folder, release, tuple(make_roles(folder, nodes, plan)), built.corntriton, digest)


def read_manifest(folder: File, problems: Problems) -> Manifest | None:
    """The manifest of a build; None, with a problem noted, where there is none."""
    file = folder / manifests.FILE
    try:
        return _ADAPTER.validate_json(file.read_bytes())
    except FileNotFoundError:
        what = f"holds no {manifests.FILE}" if folder.is_dir() else "is no folder"
        problems.add(str(folder), "$", what, f"name a folder that `{_BUILD}` has written")
    except OSError as error:
        problems.add(str(file), "$", f"cannot be read: {error.strerror}", "make it readable")
    except ValidationError:
        problems.add(str(file), "$", "is no manifest of this version of corntriton", f"build again: {_BUILD}")
    return None


def _check_release(release: str, problems: Problems) -> None:
    if not re.fullmatch(r"\d\d\.(0[1-9]|1[0-2])", release):
        problems.add("--release", release, "is no release of NVIDIA's", "write year and month, such as 26.11")
    elif release < OLDEST_RELEASE:
        what = "is too old: its streams can deadlock, and it lacks --allow-client-shm"
        problems.add("--release", release, what, f"take {OLDEST_RELEASE} or later")


def _check_manifest(folder: File, manifest: Manifest, release: str, problems: Problems) -> None:
    file = str(folder / manifests.FILE)
    if manifest.backends != "ngc":
        what = "is for the embedded server: all on CPUs, native backends replaced by hosts in Python"
        problems.add(file, "$.backends", what, f"build it for NVIDIA's images: {_BUILD} … --backends ngc")
    for number, weights in enumerate(manifest.weights):
        if weights.linked:
            what = f"{weights.path} of {weights.model} is a link into this machine"
            problems.add(file, f"$.weights[{number}]", what, "build again without --link")
    for model in without_image(manifest):
        number = manifest.models.index(model)
        what = f"{model.name} runs on a backend that {image(('vllm',), release)} lacks, which others need"
        fix = "host it in a class with backend: python, or plan it on other nodes than the vllm components"
        problems.add(file, f"$.models[{number}]", what, fix)


def _read_plan(folder: File, manifest: Manifest, problems: Problems) -> Plan | None:
    """The plan that was built from; None where there was none, or it was noted as missing."""
    if manifest.plan_sha256 is None:
        return None
    file = folder / PLAN
    if not file.is_file():
        fix = f"name the whole build, not one node's folder of it, or build again: {_BUILD} … --plan"
        problems.add(str(folder), "$", f"holds no {PLAN}, though it was built from one", fix)
        return None
    try:
        plan = read_plan(file)
    except UserError as error:
        problems.extend(error)
        return None
    # Of what the file says: another version of corntriton may write the same plan in another way.
    if _sha256(json.loads(file.read_text(encoding="utf-8"))) != manifest.plan_sha256:
        problems.add(str(file), "$", "is not the plan that was built from", f"build again: {_BUILD} … --plan")
    return plan


def _sha256(data: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
