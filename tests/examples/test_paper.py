"""The generated files of examples/paper: current, and what their README says of them."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path as File

import numpy as np
import pytest

from corntriton.planner.latency import unloaded
from corntriton.planner.limits import fastest_stages
from corntriton.planner.task import Task, read_task

PAPER = File(__file__).parents[2] / "examples" / "paper"
sys.path.insert(0, str(PAPER))

from figures import FIGURES  # noqa: E402
from generate import generated  # noqa: E402
from standin import StandIn  # noqa: E402

MODELS = sorted(folder.parent.name for folder in PAPER.glob("*/model.yaml"))


def task(model: str, mix: str, cluster: str = "16") -> Task:
    folder = PAPER / model
    files = (folder / f"workload-{mix}.yaml", PAPER / f"cluster-{cluster}.yaml", folder / "profiles.json")
    return read_task([folder], *map(str, files))


def test_the_generated_files_are_current() -> None:
    texts = generated()
    assert set(texts) == {
        str(path.relative_to(PAPER))
        for path in (*PAPER.glob("*/*.yaml"), *PAPER.glob("*/*.json"), *PAPER.glob("cluster-*.yaml"))
    }
    for path, text in texts.items():
        assert (PAPER / path).read_text(encoding="utf-8") == text, f"{path}: run generate.py"


@pytest.mark.parametrize("mix", ["third", "two_thirds"])
@pytest.mark.parametrize("model", MODELS)
def test_targets_are_five_times_the_unloaded_time(model: str, mix: str) -> None:
    read = task(model, mix)
    for demand in read.demands:
        _, done_s = unloaded(demand, fastest_stages(demand, read.library))
        assert demand.targets[0].seconds == pytest.approx(5 * done_s, rel=1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_the_largest_batch_has_the_published_rate(model: str) -> None:
    for profile in task(model, "third").profiles.profiles:
        if profile.device == "a100":
            largest = max(profile.samples, key=lambda sample: sample.batch)
            component = profile.component.partition("/")[2]
            assert largest.batch / largest.latency.mean_s == pytest.approx(
                FIGURES["rates"][model][component], rel=1e-4
            )
        assert "arXiv 2512.14098" in profile.provenance.source


@pytest.mark.parametrize("model", MODELS)
def test_larger_batches_take_longer_and_are_worth_it(model: str) -> None:
    for profile in task(model, "third").profiles.profiles:
        latencies = [sample.latency.mean_s for sample in profile.samples]
        rates = [sample.batch / sample.latency.mean_s for sample in profile.samples]
        assert latencies == sorted(latencies)
        assert all(
            later >= earlier * 0.98 for earlier, later in pairwise(rates)
        )  # what was published, wobbles


def test_the_mixes_of_a_model_differ_in_what_they_vary_alone() -> None:
    low, high = task("qwen3_omni", "third"), task("qwen3_omni", "two_thirds")
    assert low.workload.rate_hz == high.workload.rate_hz
    spoken = [sum(d.rate_hz for d in one.demands if "speech" in d.name) for one in (low, high)]
    assert spoken == pytest.approx([low.workload.rate_hz / 3, low.workload.rate_hz * 2 / 3], rel=1e-3)


def test_a_stand_in_answers_with_outputs_of_the_declared_size() -> None:
    one = StandIn()
    settings = {"tensors": {"states": {"dtype": "float16", "shape": [3, 4]}}, "texts": ["text"]}
    one.load(type("Context", (), {"settings": settings}))
    (answer,) = one([{}])
    assert answer["text"] == ""
    assert answer["states"].shape == (3, 4)
    assert answer["states"].dtype == np.float16
