from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from corntriton.cli import app
from corntriton.errors import UserError
from corntriton.planner.plan import Plan
from corntriton.planner.reading import read_plan
from tests.planner.checker import faults

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "examples" / "paper"


def plan(model: str, mix: str, *options: str, cluster: str = "8", simulate: bool = False) -> str:
    result = run(model, mix, *options, cluster=cluster, simulate=simulate)
    assert result.exit_code == 0, result.output
    return result.output


def run(model: str, mix: str, *options: str, cluster: str = "8", simulate: bool = False) -> Result:
    folder = PAPER / model
    files = {
        "--workload": folder / f"workload-{mix}.yaml",
        "--cluster": PAPER / f"cluster-{cluster}.yaml",
        "--profiles": folder / "profiles.json",
    }
    named = [text for option, file in files.items() for text in (option, str(file))]
    chosen = "--simulate" if simulate else "--no-simulate"
    words = ["plan", str(folder), *named, *options, chosen]
    return CliRunner().invoke(app, words, env={"COLUMNS": "200"})


def test_a_plan_is_shown_with_its_proof_and_its_alternatives() -> None:
    said = plan("qwen3_omni", "third", "--explain", "speech")
    for words in (
        "proven optimal",
        "monolith",
        "full disaggregation",
        "best single topology",
        "one a100 fewer",
    ):
        assert words in said
    assert "where qwen3_omni/speech lives" in said


def test_a_simulated_plan_is_shown_beside_its_rivals_and_with_what_it_can_take() -> None:
    said = plan("qwen_image", "third", "--sensitivity", simulate=True)
    for words in ("p50 / p99 on as many devices", " ± ", "time of image_generator", "none of the others"):
        assert words in said
    assert "not simulated" not in said


def test_a_simulated_plan_predicts_and_keeps_its_bytes(tmp_path: Path) -> None:
    said = []
    for name in ("one.json", "two.json"):
        text = plan("qwen_image", "third", "--json", "-o", str(tmp_path / name), simulate=True)
        said.append(json.loads(text))
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert said[0]["simulated"] == said[1]["simulated"]
    assert {"this plan", "monolith", "full disaggregation", "best single topology"} == set(
        said[0]["simulated"]
    )
    assert all(known["p99_s"] for known in said[0]["plan"]["predicted"].values())


def test_a_plan_that_was_not_simulated_says_so() -> None:
    assert "whether latency targets are met is not known" in plan("qwen_image", "third")


def test_equal_inputs_give_equal_files_that_can_be_read_back(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one.json", "two.json")]
    for file in files:
        plan("qwen3_omni", "two_thirds", "--no-compare", "-o", str(file))
    assert files[0].read_bytes() == files[1].read_bytes()
    assert read_plan(files[0]).to_json() == json.loads(files[0].read_text())
    assert faults(read_plan(files[0])) == []


def test_machines_get_the_plan_and_the_figures_that_are_no_part_of_it() -> None:
    said = json.loads(plan("qwen_image", "third", "--json"))
    assert Plan.from_json(said["plan"]).totals.devices["a100"] >= 1
    assert {"alternatives", "served_with_device", "seconds", "candidates_before_pruning"} <= set(said)
    assert "seconds" not in said["plan"]


def test_the_more_speech_is_asked_for_the_more_talkers_there_are(tmp_path: Path) -> None:
    time = {}
    for mix in ("third", "two_thirds"):
        plan("qwen3_omni", mix, "--no-compare", "-o", str(tmp_path / "plan.json"))
        found = read_plan(tmp_path / "plan.json")
        holding = [e for e in found.executors if "qwen3_omni/speech" in e.components]
        time[mix] = sum(len(executor.instances) for executor in holding)
    assert time["two_thirds"] > time["third"]


def test_a_running_plan_that_still_fits_is_kept_as_it_is(tmp_path: Path) -> None:
    file = str(tmp_path / "plan.json")
    plan("qwen3_omni", "third", "--no-compare", "-o", file)
    said = json.loads(plan("qwen3_omni", "third", "--no-compare", "--from", file, "--json"))
    changes = next(stage for stage in said["plan"]["objective"]["stages"] if stage["name"] == "changes")
    assert changes["value"] == 0
    before = {e["name"]: e["instances"] for e in json.loads(Path(file).read_text())["executors"]}
    assert {e["name"]: e["instances"] for e in said["plan"]["executors"]} == before


def test_what_cannot_be_served_ends_with_advice_and_code_2(tmp_path: Path) -> None:
    folder = PAPER / "qwen3_omni"
    text = (folder / "workload-third.yaml").read_text()
    (tmp_path / "busy.yaml").write_text(text.replace("rate_hz: ", "rate_hz: 9"))
    result = CliRunner().invoke(
        app,
        ["plan", str(folder), "--workload", str(tmp_path / "busy.yaml"), "--cluster",
         str(PAPER / "cluster-8.yaml"), "--profiles", str(folder / "profiles.json")],
    )  # fmt: skip
    assert result.exit_code == 2
    assert "of which this cluster carries" in result.output
    assert "To fix: add" in result.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-o", "{tmp}/nowhere/plan.json"], "nowhere/plan.json: $: cannot be written; To fix: name a file"),
        (["-o", "{tmp}"], "is a folder; To fix: name a file"),
        (["--explain", "lm"], "'lm' is no component of this plan; To fix: use one of qwen_image/"),
        (["--time-limit", "-5"], "Invalid value for '--time-limit'"),
        (["--seed", "-1"], "Invalid value for '--seed'"),
        (["--sensitivity"], "is found by simulation; To fix: drop --no-simulate"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_planned(
    tmp_path: Path, options: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corntriton.planner.planning.make_plan", None)
    words = [word.format(tmp=tmp_path) for word in options]
    result = run("qwen_image", "third", *words)
    assert result.exit_code == 2
    assert said in result.output


def test_a_running_plan_of_something_else_is_said_to_be_of_no_use(tmp_path: Path) -> None:
    file = str(tmp_path / "plan.json")
    plan("qwen_image", "third", "--no-compare", "-o", file)
    assert "nothing of the running plan can stay" in plan("qwen3_vl", "third", "--no-compare", "--from", file)


def test_a_deployment_that_the_devices_do_not_hold_says_so() -> None:
    said = plan("qwen3_omni", "third")
    (row,) = (line for line in said.splitlines() if "full disaggregation" in line)
    assert "does not fit" in row
    assert "0.00x" not in said


def test_what_is_written_is_as_the_schema_says(tmp_path: Path) -> None:
    plan("qwen_image", "third", "-o", str(tmp_path / "plan.json"), simulate=True)
    schema = json.loads((ROOT / "docs" / "schemas" / "plan.schema.json").read_text())
    jsonschema.validate(json.loads((tmp_path / "plan.json").read_text()), schema)


@pytest.mark.parametrize("text", ["{}", '{"version": 1}', '{"version": 1, "plan": []}', "[]", "no json"])
def test_a_file_that_is_no_plan_is_refused_with_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(UserError, match="To fix"):
        read_plan(tmp_path / "plan.json")
