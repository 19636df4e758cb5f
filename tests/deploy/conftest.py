"""Builds of plans that the planner made, and of models without one; written once, deployed by each test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from corntriton.deploy.backends import RELEASE
from corntriton.deploy.command import Deployed, deploy
from corntriton.planner.plan import Plan
from corntriton.planner.planning import Options, make_plan
from corntriton.planner.task import read_task
from corntriton.repository.build import build
from corntriton.spec.load import load_models
from tests.deploy.chart import OPERATOR, Render
from tests.deploy.tools import helm, run
from tests.repository.crossing import crossing_models, twins

PAPER = Path(__file__).parents[2] / "examples" / "paper"
TINY = Path(__file__).parents[1] / "e2e" / "models" / "tiny"

# What each paper model is planned for: two nodes for one, a third for the other.
_MODELS = {"internvl3": "large", "qwen2_5_vl": "small"}
_THREE_NODES = {
    "devices": {"a100": {"memory_gib": 80, "cost_per_hour": 4.1}},
    "nodes": {
        "large": {"count": 2, "devices": {"a100": 2}},
        "small": {"names": ["Single.node"], "devices": {"a100": 1}},
    },
}


@pytest.fixture(scope="session")
def eight_gpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of the best plan for one machine with eight GPUs."""
    model = PAPER / "qwen3_omni"
    files = (model / "workload-two_thirds.yaml", PAPER / "cluster-8.yaml", model / "profiles.json")
    plan = make_plan(read_task([model], *map(str, files)), Options("served")).plan
    out = tmp_path_factory.mktemp("eight") / "build"
    build(load_models([model]), out, "ngc", plan=plan)
    return out


@pytest.fixture(scope="session")
def three_nodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build for three nodes: two serve one model, the third another; no route leads over several."""
    folder = tmp_path_factory.mktemp("three")
    models = [PAPER / name for name in _MODELS]
    build(load_models(models), folder / "build", "ngc", plan=_plan_of_three(models, folder))
    return folder / "build"


@pytest.fixture(scope="session")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build for three nodes, two of which serve the same; routes lead from the other to them."""
    out = tmp_path_factory.mktemp("crossing") / "build"
    models = crossing_models()
    build(models, out, "ngc", plan=twins(models))
    return out


def _plan_of_three(models: list[Path], folder: Path) -> Plan:
    types: dict[str, Any] = {}
    hints: dict[str, Any] = {"colocate": [], "pin": {}}
    profiles = []
    for model in models:
        workload = yaml.safe_load((model / "workload-third.yaml").read_text())
        types |= {f"{model.name}/{name}": each for name, each in workload["request_types"].items()}
        names = [
            f"{model.name}/{name}"
            for name in yaml.safe_load((model / "model.yaml").read_text())["components"]
        ]
        hints["colocate"].append(names)
        hints["pin"] |= {name: {"nodes": [_MODELS[model.name]]} for name in names}
        measured = json.loads((model / "profiles.json").read_text())
        profiles += measured["profiles"]
    measured["profiles"] = profiles
    workload = {"rate_hz": 0.5, "request_types": types, "hints": hints}
    files = {"workload.yaml": workload, "cluster.yaml": _THREE_NODES, "profiles.json": measured}
    for name, data in files.items():
        (folder / name).write_text(yaml.safe_dump(data) if name.endswith("yaml") else json.dumps(data))
    task = read_task(models, *(str(folder / name) for name in files))
    return make_plan(task, Options("served")).plan


@pytest.fixture(scope="session")
def unplanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build without a plan."""
    out = tmp_path_factory.mktemp("unplanned") / "build"
    build(load_models([TINY]), out, "ngc")
    return out


@pytest.fixture
def emit(tmp_path: Path) -> Callable[[Path, str], Path]:
    """Deploys a build to a target and gives the folder that was written."""

    def run(folder: Path, target: str) -> Path:
        out = tmp_path / target
        deployed: Deployed = deploy(folder, target, out, RELEASE)
        assert deployed.files
        return out

    return run


@pytest.fixture
def chart(emit: Callable[[Path, str], Path]) -> Callable[[Path], Path]:
    return lambda folder: emit(folder, "helm") / "chart"


@pytest.fixture
def render(chart: Callable[[Path], Path]) -> Render:
    """The objects of a build's chart, with some values set."""

    def objects(folder: Path, *sets: str, operator: bool = True) -> list[dict[str, Any]]:
        words = [word for each in sets for word in ("--set", each)]
        more = OPERATOR if operator else ()
        text = run(helm(), "template", "omni", chart(folder), "--namespace", "ai", *more, *words)
        return [each for each in yaml.safe_load_all(text) if each]

    return objects
