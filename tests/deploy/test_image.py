"""The images: what hadolint says of them, and what is in them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.chart import BUILDS
from tests.deploy.tools import of_environment, run

Emit = Callable[[Path, str], Path]


@pytest.mark.parametrize("name", BUILDS)
def test_hadolint_has_nothing_to_say(name: str, emit: Emit, request: pytest.FixtureRequest) -> None:
    files = sorted(emit(request.getfixturevalue(name), "ngc").rglob("Dockerfile"))
    assert files
    assert run(of_environment("hadolint"), "--failure-threshold", "style", *files) == ""


def test_each_role_has_an_image_pinned_to_a_release_and_without_root(emit: Emit, three_nodes: Path) -> None:
    out = emit(three_nodes, "ngc")
    assert sorted(file.parent.name for file in out.rglob("Dockerfile")) == ["large", "small"]
    for file in out.rglob("Dockerfile"):
        text = file.read_text()
        assert re.findall(r"^FROM (\S+)", text, re.M) == [
            "nvcr.io/nvidia/tritonserver:26.11-py3",
            "runtime",
        ]
        assert re.findall(r"^USER (\S+)", text, re.M)[-1] == "1000:1000"
        assert "COPY --from=repository --chown=root:root --chmod=a+rX,go-w . /models" in text


def test_backends_that_no_model_needs_are_removed(emit: Emit, unplanned: Path, tmp_path: Path) -> None:
    text = (emit(unplanned, "ngc") / "Dockerfile").read_text()
    assert "backends -mindepth 1 -maxdepth 1 ! -name python -exec rm -r {} +" in text
    folder = Path(shutil.copytree(unplanned, tmp_path / "build"))
    manifest = json.loads((folder / "manifest.json").read_text())
    listen = next(each for each in manifest["models"] if each["name"] == "tiny__listen")
    listen["files"] = {"1/model.json": "", "config.pbtxt": ""}
    manifest["requirements"] = ["soundfile==0.13.1"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    out = emit(folder, "ngc")
    text = (out / "Dockerfile").read_text()
    assert "FROM nvcr.io/nvidia/tritonserver:26.11-vllm-python-py3 AS runtime" in text
    assert "! -name python ! -name vllm -exec" in text
    assert "pip install --no-cache-dir" in text
    assert (out / "requirements.txt").read_text() == "soundfile==0.13.1\n"
    # What its model.py adds to the config is needed.
    assert "--disable-auto-complete-config" not in (out / "serve.sh").read_text()


def test_what_reaches_other_servers_is_installed(emit: Emit, crossing: Path) -> None:
    out = emit(crossing, "ngc")
    assert (out / "n-0" / "requirements.txt").read_text() == "tritonclient[grpc]\n"
    assert (
        "#                                n-0=HOST:8001,n-1=HOST:8001;HOST:8001\n"
        in (out / "n-1" / "serve.sh").read_text()
    )


def test_the_plans_reasons_are_in_the_file(emit: Emit, eight_gpus: Path) -> None:
    text = (emit(eight_gpus, "ngc") / "Dockerfile").read_text()
    assert re.search(r"^#   The plan's executor \S+: \d instances? here\.$", text, re.M)
    assert re.search(
        r"^#   Of its time, \d+% is in use, at most 85% may be\. This is what binds\.$", text, re.M
    )


def test_nothing_secret_is_written_anywhere(emit: Emit, eight_gpus: Path) -> None:
    for target in ("ngc", "compose", "helm"):
        for file in emit(eight_gpus, target).rglob("*"):
            if file.is_file():
                assert not re.search(r"password|BEGIN .*KEY|corntriton-admin=[^$]", file.read_text())


def test_the_start_script_is_good_bash(emit: Emit, three_nodes: Path) -> None:
    for script in emit(three_nodes, "ngc").rglob("serve.sh"):
        run("bash", "-n", script)
        assert script.stat().st_mode & 0o111
