"""tools/build_trt_engine.py and builds that need it, on stand-ins for the two programs that need a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from onnx import TensorProto, helper, save
from typer.testing import CliRunner

from corntriton.cli import app
from corntriton.deploy.command import deploy
from corntriton.errors import UserError
from corntriton.repository.build import build
from corntriton.spec.load import load_models
from tests.deploy.conftest import TINY
from tests.deploy.tools import of_environment, run

TOOL = Path(__file__).parents[2] / "tools" / "build_trt_engine.py"
# Says its version as the real one does; of what it builds, writes down how it was called.
TRTEXEC = """#!/usr/bin/env bash
echo "&&&& RUNNING TensorRT.trtexec [TensorRT v${VERSION:-101300}] [b42] # trtexec $*"
for word in "$@"; do
  case "$word" in
    --saveEngine=*) echo "$*" > "${word#*=}"; echo built >> "$BUILT" ;;
    --onnx=*) [[ -s "${word#*=}" ]] || { echo "no such network"; exit 1; } ;;
  esac
done
"""
SMI = '#!/usr/bin/env bash\nprintf "%b" "${GPUS:-NVIDIA H100 80GB HBM3, 9.0\\n}"\n'

Tool = Callable[..., str]


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    """Runs the tool in a container, as it were; with `ok=False` it has to fail. Gives what it says."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("trtexec", TRTEXEC), ("nvidia-smi", SMI)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)

    def call(*words: str | Path, ok: bool = True, **environment: str) -> str:
        path = {"PATH": f"{programs}:{os.environ['PATH']}", "BUILT": str(tmp_path / "built"), **environment}
        command = [sys.executable, TOOL, *words, "--cache", tmp_path / "cache"]
        done = subprocess.run(command, env={**os.environ, **path}, capture_output=True, text=True)
        assert (done.returncode == 0) == ok, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    return call


@pytest.fixture
def built(tmp_path: Path) -> Callable[[], int]:
    """How many engines were built so far."""
    return lambda: len((tmp_path / "built").read_text().splitlines()) if (tmp_path / "built").exists() else 0


@pytest.fixture
def scaling(tmp_path: Path) -> Callable[..., Path]:
    """A model with a TensorRT component whose artifact is an ONNX file."""

    def write(dims: tuple[str | int, ...] = ("batch", 3, "length"), **fields: Any) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        port = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name in "xy"}
        graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", [port["x"]], [port["y"]])
        save(helper.make_model(graph), folder / "neg.onnx")
        declared = {"dtype": "FP32", "dims": [-1 if isinstance(dim, str) else dim for dim in dims[1:]]}
        component = {
            "kind": "processor",
            "backend": "tensorrt",
            "artifact": "neg.onnx",
            "inputs": {"x": declared},
            "outputs": {"y": declared},
            "batching": {"max_batch_size": 8},
            **fields,
        }
        model = {
            "model": "m",
            "flow": "flow.py:m",
            "inputs": {"x": declared},
            "outputs": {"y": declared},
            "request_types": {"all": {"inputs": {"x": {}}, "outputs": ["y"]}},
            "components": {"neg": component},
        }
        (folder / "model.yaml").write_text(yaml.safe_dump(model))
        (folder / "flow.py").write_text(
            "from corntriton import flow\n\n@flow\ndef m(request, c):\n"
            "    return {'y': c.neg(x=request['x']).y}\n"
        )
        return folder

    return write


SHAPES = {"engine": {"precision": "fp16", "shapes": {"x": [[3, 1], [3, 500], [3, 3000]]}}}


def test_a_build_has_the_onnx_file_and_the_recipe_and_the_start_builds_the_engine(
    scaling: Callable[..., Path], tool: Tool, built: Callable[[], int], tmp_path: Path
) -> None:
    build(load_models([scaling(settings=SHAPES)]), tmp_path / "build", "ngc")
    version = tmp_path / "build" / "model_repository" / "m__neg" / "1"
    assert json.loads((version / "engine.json").read_text()) == {
        "precision": "fp16",
        "shapes": {"x": [[1, 3, 1], [8, 3, 500], [8, 3, 3000]]},
    }
    assert sorted(file.name for file in version.iterdir()) == ["engine.json", "engine.onnx"]

    target = tmp_path / "models"
    tool("repository", tmp_path / "build" / "model_repository", target)
    engine = (target / "m__neg" / "1" / "model.plan").read_text()
    assert "--fp16 --minShapes=x:1x3x1 --optShapes=x:8x3x500 --maxShapes=x:8x3x3000" in engine
    assert 'backend: "tensorrt"' in (target / "m__neg" / "config.pbtxt").read_text()
    assert (target / "m").resolve() == tmp_path / "build" / "model_repository" / "m"
    tool("repository", tmp_path / "build" / "model_repository", target)
    assert built() == 1


def test_images_of_such_a_build_hold_the_tool_and_trtexec_of_their_release(
    scaling: Callable[..., Path], tmp_path: Path
) -> None:
    build(load_models([scaling(settings=SHAPES)]), tmp_path / "build", "ngc")
    deploy(tmp_path / "build", "compose", tmp_path / "out", "26.11")
    dockerfile = (tmp_path / "out" / "Dockerfile").read_text()
    assert "FROM nvcr.io/nvidia/tensorrt:26.11-py3 AS tensorrt" in dockerfile
    assert "! -name python ! -name tensorrt -exec" in dockerfile
    assert (tmp_path / "out" / TOOL.name).read_text() == TOOL.read_text()
    assert 'build_trt_engine.py repository "$models" /tmp/models' in (tmp_path / "out/serve.sh").read_text()
    service = yaml.safe_load((tmp_path / "out" / "compose.yaml").read_text())
    assert service["volumes"] == {"engines": {}}
    assert run(of_environment("hadolint"), "--failure-threshold", "style", tmp_path / "out/Dockerfile") == ""
    compose = of_environment("check-jsonschema"), "--builtin-schema", "vendor.compose-spec"
    run(*compose, tmp_path / "out" / "compose.yaml")
    run("bash", "-n", tmp_path / "out" / "serve.sh")
    deploy(tmp_path / "build", "helm", tmp_path / "chart", "26.11")
    values = yaml.safe_load((tmp_path / "chart" / "chart" / "values.yaml").read_text())
    assert values["roles"]["server"]["engines"] == {"build": True, "claim": ""}


@pytest.mark.parametrize(
    ("engine", "place"),
    [
        ({}, "shapes"),
        ({"shapes": {"x": [[3, 1]]}}, "shapes.x"),
        ({"shapes": {"x": [[3, 1], [4, 5], [3, 9]]}}, "shapes.x"),
        ({"shapes": SHAPES["engine"]["shapes"], "precision": "fp4"}, "precision"),
        ({"shape": {}}, ""),
    ],
)
def test_a_recipe_that_cannot_be_is_a_problem_of_model_yaml(
    engine: Any, place: str, scaling: Callable[..., Path], tmp_path: Path
) -> None:
    folder = scaling(settings={"engine": engine})
    with pytest.raises(UserError) as caught:
        build(load_models([folder]), tmp_path / "build", "ngc")
    found = ".".join(filter(None, ["$.components.neg.settings.engine", place]))
    assert [each.path for each in caught.value.problems] == [found]


def test_engines_are_kept_by_gpu_version_model_and_recipe(
    tool: Tool, built: Callable[[], int], tmp_path: Path
) -> None:
    onnx, engine = tmp_path / "a.onnx", tmp_path / "a.plan"
    onnx.write_text("a network that keeps weights in a.data")
    (tmp_path / "a.data").write_text("1")
    for count, words, environment in (
        (1, (), {}),
        (1, (), {}),
        (2, ("--precision", "bf16"), {}),
        (3, (), {"GPUS": "NVIDIA L40S, 8.9\\n"}),
        (4, (), {"VERSION": "110000"}),
    ):
        tool("engine", onnx, engine, *words, **environment)
        assert built() == count
    (tmp_path / "a.data").write_text("2")
    (tmp_path / "unrelated").write_text("3")
    tool("engine", onnx, engine)
    tool("engine", onnx, engine)
    assert built() == 5
    names = sorted(file.name.rpartition("-")[0] for file in (tmp_path / "cache").glob("*.plan"))
    assert names == [
        "nvidia-h100-80gb-hbm3-9.0-trt101300.42",
        "nvidia-h100-80gb-hbm3-9.0-trt101300.42",
        "nvidia-h100-80gb-hbm3-9.0-trt101300.42",
        "nvidia-h100-80gb-hbm3-9.0-trt110000.42",
        "nvidia-l40s-8.9-trt101300.42",
    ]


def test_shapes_may_be_given_by_hand(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_text("a network")
    words = ["--shape", "x=1x80,4x80,8x80", "--shape", "y=1,2,3"]
    tool("engine", tmp_path / "a.onnx", tmp_path / "a.plan", *words)
    assert "--minShapes=x:1x80,y:1 --optShapes=x:4x80,y:2" in (tmp_path / "a.plan").read_text()


def test_what_fails_is_said_and_leaves_no_engine(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").touch()
    assert "no such network" in tool("engine", tmp_path / "a.onnx", tmp_path / "a.plan", ok=False)
    assert list((tmp_path / "cache").glob("*.plan")) == []
    two = "NVIDIA A100, 8.0\\nNVIDIA L40S, 8.9\\n"
    said = tool("engine", tmp_path / "a.onnx", tmp_path / "a.plan", ok=False, GPUS=two)
    assert "one sort of GPU, and here are NVIDIA A100, 8.0, NVIDIA L40S, 8.9" in said
    said = tool("engine", tmp_path / "a.onnx", tmp_path / "a.plan", ok=False, PATH="/usr/bin:/bin")
    assert "there is no trtexec here: run this in NVIDIA's container" in said


def test_a_repository_without_engines_is_linked_as_it_is(
    tool: Tool, built: Callable[[], int], tmp_path: Path
) -> None:
    build(load_models([TINY]), tmp_path / "build", "ngc")
    repository = tmp_path / "build" / "model_repository"
    tool("repository", repository, tmp_path / "models")
    linked = {path.name: path.resolve() for path in (tmp_path / "models").iterdir()}
    assert linked == {path.name: path.resolve() for path in repository.iterdir()}
    assert built() == 0


def test_a_container_for_a_try_cannot_build_engines(scaling: Callable[..., Path], tmp_path: Path) -> None:
    build(load_models([scaling(settings=SHAPES)]), tmp_path / "build", "ngc")
    answer = CliRunner().invoke(app, ["serve", str(tmp_path / "build"), "--print-command"])
    assert answer.exit_code == 2
    assert "corntriton deploy --to compose" in answer.output
