"""The command line as a user meets it: a process, its output, its exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path as File

import pytest

import corntriton

SAMPLE = File(__file__).parent / "spec" / "sample"


def run(*arguments: str | File, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "corntriton.cli", *map(str, arguments)]
    env = {**os.environ, "PYTHONUTF8": "1", "COLUMNS": "100", **environment}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, encoding="utf-8")


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> File:
    folder = File(shutil.copytree(SAMPLE, tmp_path_factory.mktemp("broken") / "sample"))
    text = (folder / "model.yaml").read_text()
    (folder / "model.yaml").write_text(
        text.replace("kind: vocoder", "kind: voice").replace("deadline_s", "dedline_s")
    )
    return folder


def test_check_draws_the_components_and_every_path() -> None:
    done = run("check", SAMPLE)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for drawn in (
        "    ├─╯   prompt ← text · context ← [vision.caption ×images]",
        "    ├─╮   text ← llm.text by sentence",
        "    │ ■   tts  once per sentence",
        "  for requests with text, no audio, images; not wanted: speech",
        "✓ omni: 5 components, 3 request types recorded",
    ):
        assert drawn in done.stdout


def test_problems_go_to_stderr_with_exit_code_2(broken: File) -> None:
    done = run("check", broken, broken / "missing.yaml")
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    file = broken / "model.yaml"
    assert lines[0].startswith(f"{broken}/missing.yaml: $: does not exist; To fix: ")
    assert f"{file}:3: $.dedline_s: is not a known key; To fix: rename it to `deadline_s`" in lines
    assert any(line.startswith(f'{file}:55: $.components.tts.kind: is "voice"') for line in lines)
    assert lines[-1] == "3 problems"
    assert "Traceback" not in done.stderr


def test_problems_for_machines_are_one_object(broken: File) -> None:
    done = run("check", broken, "--json")
    assert done.returncode == 2
    problems = json.loads(done.stdout)["problems"]
    assert {problem["path"] for problem in problems} == {"$.dedline_s", "$.components.tts.kind"}
    assert all(set(problem) == {"file", "path", "what", "fix"} for problem in problems)


def test_check_for_machines_gives_paths_and_names() -> None:
    found = json.loads(run("check", SAMPLE, "--json").stdout)
    (model,) = found["models"]
    assert found["problems"] == found["warnings"] == []
    assert model["served_as"]["tts"] == "omni__tts"
    assert [each["id"] for each in model["request_types"]["video_to_text"]["invocations"]] == [
        "vision",
        "llm",
    ]
    reasons = {each["request_type"]: each["not_public"]["text"] for each in model["compiled"]}
    assert reasons["video_to_text"] == "llm streams"
    [way] = model["compiled"][0]["routes"]
    assert {edge["transport"] for edge in way["edges"]} >= {"inline"}


def test_an_unused_component_is_a_warning_and_no_error(tmp_path: File) -> None:
    folder = File(shutil.copytree(SAMPLE, tmp_path / "sample"))
    text = (folder / "model.yaml").read_text()
    start, end = text.index("  video_to_text"), text.index("components:")
    (folder / "model.yaml").write_text(text[:start] + text[end:])
    done = run("check", folder)
    assert done.returncode == 0
    assert "warning: " in done.stdout
    assert "$.components.vision: is visited by no request type" in done.stdout


@pytest.mark.parametrize("arguments", [["check"], ["check", "--nonsense"], ["chekc"], []])
def test_bad_arguments_exit_2_without_traceback(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_the_version_is_printed() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"{corntriton.__version__}\n")


def test_an_ascii_terminal_gets_a_drawing_without_traceback() -> None:
    done = run("check", SAMPLE, PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
