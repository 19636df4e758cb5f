"""`corntriton deploy` as a user meets it: what is refused, with every reason; what is written, and how."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from corntriton.cli import app
from corntriton.deploy.command import deploy
from corntriton.repository.build import build
from corntriton.spec.load import load_models
from tests.deploy.conftest import TINY

Emit = Callable[[Path, str], Path]


def problems(*words: str | Path) -> list[str]:
    answer = CliRunner().invoke(app, ["deploy", *map(str, words), "--json"])
    assert answer.exit_code == 2, answer.output
    return [f"{each['path']}: {each['what']}" for each in json.loads(answer.stdout)["problems"]]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def changed_manifest(folder: Path, target: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a build with another manifest."""
    shutil.copytree(folder, target)
    data = json.loads((target / "manifest.json").read_text())
    change(data)
    (target / "manifest.json").write_text(json.dumps(data))
    return target


def test_what_is_no_build_is_refused(tmp_path: Path) -> None:
    assert problems(tmp_path / "none", "--to", "ngc", "-o", tmp_path / "out") == ["$: is no folder"]
    assert problems(tmp_path, "--to", "ngc", "-o", tmp_path / "out") == ["$: holds no manifest.json"]
    (tmp_path / "manifest.json").write_text('{"corntriton": "0.1"}')
    [problem] = problems(tmp_path, "--to", "ngc", "-o", tmp_path / "out")
    assert problem == "$: is no manifest of this version of corntriton"


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    build(load_models([TINY]), tmp_path / "build", "embedded")
    found = problems(tmp_path / "build", "--to", "swarm", "--release", "24.10", "-o", tmp_path / "out")
    assert [each.partition(":")[0] for each in found] == ["swarm", "24.10", "$.backends"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("release", ["latest", "26.13", "26.7", "26.06"])
def test_a_release_is_a_month_from_26_07_on(release: str, unplanned: Path, tmp_path: Path) -> None:
    [problem] = problems(unplanned, "--to", "ngc", "--release", release, "-o", tmp_path / "out")
    assert problem.startswith(f"{release}: is ")


def test_links_to_weights_cannot_be_deployed(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.write_text("0.1")
    folder = Path(shutil.copytree(TINY, tmp_path / "tiny"))
    text = (folder / "model.yaml").read_text()
    spot = "    artifact: parts:Listen\n"
    (folder / "model.yaml").write_text(text.replace(spot, f"{spot}    files: {{weights: {weights}}}\n"))
    build(load_models([folder]), tmp_path / "build", "ngc", link=True)
    [problem] = problems(tmp_path / "build", "--to", "ngc", "-o", tmp_path / "out")
    assert problem == "$.weights[0]: 1/files/weights of tiny__listen is a link into this machine"


def test_no_image_has_vllm_and_other_native_backends(unplanned: Path, tmp_path: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        models = [each for each in manifest["models"] if each["kind"] == "component"]
        models[0]["files"] = {"1/model.json": ""}
        models[1]["files"] = {"1/model.onnx": ""}

    folder = changed_manifest(unplanned, tmp_path / "build", change)
    [problem] = problems(folder, "--to", "ngc", "-o", tmp_path / "out")
    assert "runs on a backend that nvcr.io/nvidia/tritonserver:26.11-vllm-python-py3 lacks" in problem


def test_one_nodes_folder_is_not_the_whole_build(three_nodes: Path, tmp_path: Path) -> None:
    [problem] = problems(three_nodes / "large-0", "--to", "helm", "-o", tmp_path / "out")
    assert problem == "$: holds no plan.json, though it was built from one"


def test_another_plan_than_the_one_that_was_built_from_is_noticed(eight_gpus: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(eight_gpus, tmp_path / "build"))
    text = (folder / "plan.json").read_text()
    (folder / "plan.json").write_text(text.replace('"served_multiple": ', '"served_multiple": 1'))
    [problem] = problems(folder, "--to", "helm", "-o", tmp_path / "out")
    assert problem == "$: is not the plan that was built from"


@pytest.mark.parametrize("target", ["ngc", "compose", "helm"])
def test_equal_builds_give_equal_bytes(target: str, emit: Emit, three_nodes: Path) -> None:
    first = contents(emit(three_nodes, target))
    assert contents(emit(three_nodes, target)) == first


def test_what_a_deploy_wrote_is_replaced_as_a_whole_and_nothing_else_is(
    emit: Emit, unplanned: Path, tmp_path: Path
) -> None:
    out = emit(unplanned, "ngc")
    (out / "stale").touch()
    assert not (emit(unplanned, "ngc") / "stale").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    [problem] = problems(unplanned, "--to", "ngc", "-o", tmp_path / "mine")
    assert problem == "$: holds other things: no deploy.json of an earlier run"


def test_the_output_may_not_lie_in_the_build(unplanned: Path) -> None:
    [problem] = problems(unplanned, "--to", "ngc", "-o", unplanned / "deploy")
    assert problem.startswith("$: lies in the build")


def test_people_see_the_roles_and_what_to_do_next(three_nodes: Path, tmp_path: Path) -> None:
    answer = CliRunner().invoke(
        app, ["deploy", str(three_nodes), "--to", "helm", "-o", str(tmp_path / "out")]
    )
    assert answer.exit_code == 0
    said = " ".join(answer.stdout.split())
    assert "large 2 2 " in said
    assert "small 1 1 " in said
    assert f"helm install NAME {tmp_path / 'out' / 'chart'}" in said


def test_machines_get_the_roles_as_json(eight_gpus: Path, tmp_path: Path) -> None:
    words = ["deploy", str(eight_gpus), "--to", "compose", "-o", str(tmp_path / "out"), "--json"]
    found = json.loads(CliRunner().invoke(app, words).stdout)
    [role] = found["roles"]
    assert (role["name"], role["nodes"], role["gpus"]) == ("hgx", ["hgx-0"], 8)
    assert sorted(found["files"]) == ["Dockerfile", "compose.yaml", "deploy.json", "serve.sh"]


def test_the_folder_says_what_it_was_made_from(emit: Emit, eight_gpus: Path) -> None:
    mark = json.loads((emit(eight_gpus, "ngc") / "deploy.json").read_text())
    assert (mark["to"], mark["release"]) == ("ngc", "26.11")
    assert set(mark["files"]) == {"Dockerfile", "serve.sh"}


def test_one_build_may_go_to_several_targets(unplanned: Path, tmp_path: Path) -> None:
    for target in ("ngc", "compose", "helm"):
        assert deploy(unplanned, target, tmp_path / target, "26.11").target == target
