from __future__ import annotations

import json
from pathlib import Path as File

import pytest

from corntriton.planner.plan import Executor, Member, Place, Route
from corntriton.spec.workload import LatencyTarget
from tests.planner.plans import HERE, demand, here, invocation, plan, profile
from tests.test_cli import run


@pytest.fixture
def saved(tmp_path: File) -> File:
    """An executor of 10 requests a second, asked for 5, half a second each."""
    queue = plan(
        [demand(5.0, [invocation("a")], targets=[LatencyTarget(percentile=90, seconds=0.5)])],
        [Executor("a", "gpu", 1, (Member("m/a", 1),), (Place(HERE, (0,)),))],
        [Route("m/t", 1, here("a"))],
        [profile("m/a", {1: 0.1})],
    )
    queue.save(tmp_path / "plan.json")
    return tmp_path / "plan.json"


def test_simulate_tells_latencies_utilisation_and_goodput(saved: File) -> None:
    done = run("simulate", saved, "--requests", "1000")
    assert (done.returncode, done.stderr) == (0, "")
    assert "simulated at 1x the workload" in done.stdout
    assert "a on n-0" in done.stdout
    assert "✓ p90" in done.stdout
    assert "goodput: 1." in done.stdout


def test_simulate_for_machines_is_one_object_and_the_same_for_the_same_seed(saved: File) -> None:
    one, again, other = (
        json.loads(run("simulate", saved, "--requests", "600", "--seed", seed, "--json").stdout)
        for seed in "112"
    )
    assert one == again != other
    assert one["request_types"]["m/t"]["targets"][0]["met"] is True
    assert 1.0 < one["goodput"]["multiple"] <= one["goodput"]["bound"]


def test_a_higher_rate_misses_the_target(saved: File) -> None:
    found = json.loads(run("simulate", saved, "--rate-multiple", "2.5", "--json").stdout)
    assert found["request_types"]["m/t"]["targets"][0]["met"] is False


def test_a_trace_is_written_in_chrome_s_format(saved: File, tmp_path: File) -> None:
    done = run("simulate", saved, "--requests", "100", "--trace", tmp_path / "trace.json")
    assert done.returncode == 0
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    bars = [event for event in events if event["ph"] == "X"]
    assert len(bars) == 100
    assert {"name", "pid", "tid", "ts", "dur"} <= set(bars[0])


@pytest.mark.parametrize("arguments", [["missing.json"], ["--trace", "missing/trace.json"]])
def test_files_that_cannot_be_read_or_written_are_problems(saved: File, arguments: list[str]) -> None:
    done = run("simulate", "--requests", "100", *([] if len(arguments) == 1 else [saved]), *arguments)
    assert done.returncode == 2
    assert "To fix: " in done.stderr
    assert "Traceback" not in done.stderr
