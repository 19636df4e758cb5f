"""tools/gpu_check.py, on the simulated driver and without any."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[3]


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(_ROOT / "tools" / "gpu_check.py"), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env={"PATH": os.environ["PATH"], **environment}
    )


def test_without_a_gpu_it_says_so_and_exits_with_2():
    checked = _run(CUDA_VISIBLE_DEVICES="")
    assert checked.returncode == 2
    assert "there is no GPU to check" in checked.stderr
    assert not checked.stdout


def test_it_runs_the_suite_and_says_what_did_not_run():
    checked = _run("--simulated", "--only", "own process", SIMULATED_CUDA_DEVICES="1")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "SIMULATED DRIVER" in checked.stdout
    assert "ok      what is put is read by its own process\n" in checked.stdout
    assert "not run beside Triton's own BLS tensors: needs a server\n" in checked.stdout


def test_what_needs_more_gpus_or_libraries_that_see_one_does_not_run(tmp_path):
    checked = _run(
        "--simulated", "--only", "peers", "--json", str(tmp_path / "r"), SIMULATED_CUDA_DEVICES="1"
    )
    results = json.loads((tmp_path / "r").read_text())["results"]
    assert checked.returncode == 0
    assert results == {
        "a_gpu_reads_from_its_peers": "not run: needs a second GPU, of which this one is a peer"
    }


def test_a_failure_is_told_and_the_exit_code_is_1():
    checked = _run("--simulated", "--only", "own process", SIMULATED_CUDA_FAIL="cuMemcpyHtoDAsync=999")
    assert checked.returncode == 1
    assert "FAILED  what is put is read by its own process: Traceback" in checked.stdout
    assert "CUDA_ERROR_UNKNOWN" in checked.stdout


def test_its_figures_say_whose_they_are(tmp_path):
    checked = _run("--simulated", "--only", "figures", "--json", str(tmp_path / "figures.json"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "p50, of the SIMULATED DRIVER" in checked.stdout
    record = json.loads((tmp_path / "figures.json").read_text())
    assert record["simulated"]
    assert [figure["nbytes"] for figure in record["figures"]] == [64, 2**16, 2**20, 2**24, 2**26]
