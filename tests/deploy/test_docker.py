"""`corntriton serve --print-command`: the container for a try on one machine."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from typer.testing import CliRunner

from corntriton.cli import app
from corntriton.deploy.reading import read_site


def command(folder: Path) -> list[str]:
    answer = CliRunner().invoke(app, ["serve", str(folder), "--print-command", "--json"])
    words: list[str] = json.loads(answer.stdout)["command"]
    return words


def test_the_container_has_no_rights_and_is_reached_from_this_machine_alone(unplanned: Path) -> None:
    words = command(unplanned)
    for word in ("--user=1000:1000", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"):
        assert word in words
    assert all(word.startswith("--publish=127.0.0.1:") for word in words if "publish" in word)
    assert f"--volume={unplanned / 'model_repository'}:/models:ro" in words
    assert "nvcr.io/nvidia/tritonserver:26.11-py3" in words
    assert shlex.join(words).count("tritonserver") == 2


def test_its_shared_memory_is_that_of_a_deployment(unplanned: Path) -> None:
    [role] = read_site(unplanned, "26.11").roles
    assert f"--shm-size={role.shared_memory.mebibytes}m" in command(unplanned)


def test_a_vllm_model_has_its_own_image(tmp_path: Path) -> None:
    (tmp_path / "llm").mkdir()
    (tmp_path / "llm" / "config.pbtxt").write_text('name: "llm"\nbackend: "vllm"\n')
    assert "nvcr.io/nvidia/tritonserver:26.11-vllm-python-py3" in command(tmp_path)
