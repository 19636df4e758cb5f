"""The Triton models of a model's orchestrator: `<model>`, and `<model>_stream` where something streams."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path as File
from types import MappingProxyType
from typing import Any

from corntriton.errors import Problems
from corntriton.repository.tensors import tensors_of
from corntriton.resources import resource_dir
from corntriton.runtime.settings import OrchestratorSettings, Route, Target
from corntriton.spec.load import LoadedModel

TEMPLATE = "orchestrator.config.pbtxt.j2"


def config_values(model: LoadedModel, name: str, streaming: bool) -> dict[str, Any]:
    """What the template of an orchestrator's config is rendered with."""
    ports = model.signature.ports
    return {
        "name": name,
        "model": model.spec,
        "inputs": tensors_of(ports.inputs, inputs=True),
        "outputs": tensors_of(ports.outputs),
        "decoupled": streaming,
    }


def settings(
    model: LoadedModel,
    targets: Mapping[str, Target],
    routes: Mapping[str, Sequence[Route]] = MappingProxyType({}),
    usual: Mapping[str, str] = MappingProxyType({}),
) -> OrchestratorSettings:
    """What the orchestrator reads when it starts; see there."""
    return OrchestratorSettings(
        model.signature,
        f"{model.flow_file.name}:{model.spec.flow.rpartition(':')[2]}",
        dict(targets),
        dict(model.paths),
        model.spec.deadline_s,
        model.spec.max_in_flight,
        routes=dict(routes),
        usual=dict(usual),
        arena_bytes=model.spec.arena.max_bytes,
    )


def write(model: LoadedModel, contents: OrchestratorSettings, folder: File, runtime: bytes) -> None:
    """Fills the model's version folder; the flow's one file is all of its code that goes along."""
    (folder / "code").mkdir(parents=True)
    shutil.copyfile(resource_dir("python_backends") / "orchestrator" / "model.py", folder / "model.py")
    (folder / "corntriton_runtime.zip").write_bytes(runtime)
    shutil.copyfile(model.flow_file, folder / "code" / model.flow_file.name)
    contents.save(folder / "orchestrator.json")


def note_lost_imports(model: LoadedModel, problems: Problems) -> None:
    """Notes imports of modules beside the flow, which would not be there where the orchestrator runs."""
    file = model.flow_file
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ["." * node.level + (node.module or "")]
        else:
            continue
        for name in filter(lambda name: _lies_beside(file, name), names):
            what = f"imports {name}, which lies beside it: only {file.name} itself is packed"
            problems.add(str(file), f"line {node.lineno}", what, f"move what it needs into {file.name}")


def _lies_beside(file: File, module: str) -> bool:
    beside = file.parent / module.partition(".")[0]
    return module.startswith(".") or beside.is_dir() or beside.with_suffix(".py").is_file()
