"""The six published models of examples/paper, planned at both of their mixes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path as File

import pytest

from corntriton.planner.candidates import monoliths, useful_sets
from corntriton.planner.plan import Plan
from corntriton.planner.planning import Options, make_plan
from corntriton.planner.task import Task, read_task
from tests.planner.checker import faults

PAPER = File(__file__).parents[2] / "examples" / "paper"
MODELS = ("qwen3_omni", "qwen2_5_omni", "qwen3_vl", "qwen2_5_vl", "internvl3", "qwen_image")
MIXES = ("third", "two_thirds")


def task(model: str, mix: str, cluster: str) -> Task:
    """The model's workload, which is made for eight devices; sixteen get twice of it."""
    folder = PAPER / model
    files = (folder / f"workload-{mix}.yaml", PAPER / f"cluster-{cluster}.yaml", folder / "profiles.json")
    read = read_task([folder], *map(str, files))
    multiple = 2 if cluster == "16" else 1
    return replace(read, demands=tuple(replace(d, rate_hz=d.rate_hz * multiple) for d in read.demands))


def options(one: Task, topology: str) -> Options:
    sets = {
        "any mix": None,
        "monolith": monoliths(one.demands),
        "full disaggregation": [(name,) for name in sorted(one.components)],
        "llms apart": [names for names in useful_sets(one.demands) if _llms(one, names) < 2],
    }
    return Options(sets=sets[topology])


def _llms(one: Task, names: tuple[str, ...]) -> int:
    return sum(one.components[name].kind == "llm" for name in names)


@cache
def planned(model: str, mix: str, cluster: str, topology: str = "any mix") -> Plan:
    one = task(model, mix, cluster)
    return make_plan(one, options(one, topology)).plan


def instances_of(plan: Plan, component: str) -> int:
    holding = (e for e in plan.executors if any(name.endswith(f"/{component}") for name in e.components))
    return sum(len(executor.instances) for executor in holding)


@pytest.mark.parametrize("cluster", ["8", "16"])
@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("model", MODELS)
def test_each_model_and_mix_has_a_plan_that_obeys_the_rules_and_is_proven_best(
    model: str, mix: str, cluster: str
) -> None:
    plan = planned(model, mix, cluster)
    assert faults(plan) == []
    assert plan.objective.finished
    assert plan.objective.gap == 0


@pytest.mark.parametrize("topology", ["monolith", "llms apart", "any mix"])
@pytest.mark.parametrize("model", ["qwen3_omni", "qwen2_5_omni"])
def test_more_speech_takes_more_talkers(model: str, topology: str) -> None:
    few, many = (instances_of(planned(model, mix, "16", topology), "speech") for mix in MIXES)
    assert few < many


@pytest.mark.parametrize("model", ["qwen3_vl", "qwen2_5_vl"])
def test_more_visual_input_takes_more_encoders(model: str) -> None:
    few, many = (
        instances_of(planned(model, mix, "16", "full disaggregation"), "video_encoder") for mix in MIXES
    )
    assert few < many


@pytest.mark.parametrize("model", MODELS)
def test_no_topology_is_cheaper_than_any_mix(model: str) -> None:
    for topology in ("monolith", "full disaggregation"):
        least = planned(model, "third", "16").totals.cost_per_hour
        assert least <= planned(model, "third", "16", topology).totals.cost_per_hour + 1e-6


def test_cheaper_devices_carry_what_fits_them() -> None:
    """On the mixed cluster an A10, at a third of the price, does what needs no large memory."""
    plan = planned("qwen2_5_vl", "two_thirds", "mixed")
    assert faults(plan) == []
    assert plan.totals.devices.get("a10", 0) > 0
    assert plan.totals.cost_per_hour < planned("qwen2_5_vl", "two_thirds", "8").totals.cost_per_hour
