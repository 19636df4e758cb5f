"""The scenarios of examples/published, planned at all of their mixes on eight and sixteen devices."""

from __future__ import annotations

import pytest

from corntriton.planner.candidates import monoliths
from corntriton.planner.plan import Plan
from corntriton.planner.planning import Options, make_plan
from corntriton.rehearsal.rivals import rivals_of
from tests.planner.checker import faults
from tools.one_batch import OneBatch
from tools.published_table import SCENARIOS, inside, published_task


def served(scenario: str, mix: str, devices: int) -> Plan:
    return make_plan(published_task(scenario, mix, devices), Options("served")).plan


@pytest.mark.parametrize("devices", [8, 16])
@pytest.mark.parametrize(("scenario", "mix"), SCENARIOS)
def test_each_scenario_has_a_plan_that_obeys_the_rules(scenario: str, mix: str, devices: int) -> None:
    plan = served(scenario, mix, devices)
    assert faults(plan, plan.served_multiple) == []
    assert plan.objective.finished
    assert plan.served_multiple > 1  # the workload is made to be half of what devices could do


@pytest.mark.parametrize(("scenario", "mix"), SCENARIOS)
def test_both_baselines_fit_and_obey_the_rules(scenario: str, mix: str) -> None:
    task = published_task(scenario, mix, 8)
    for sets in (monoliths(task.demands), [(name,) for name in sorted(task.components)]):
        plan = make_plan(task, Options("served", sets=sets)).plan
        assert faults(plan, plan.served_multiple) == []


def test_less_memory_leaves_smaller_batches() -> None:
    limits = []
    for gib in (24, 80):
        task = published_task("video_qa", "", 8, memory_gib=gib)
        (whole,) = make_plan(
            task, Options("served", sets=monoliths(task.demands), one_config=True)
        ).plan.executors
        limits.append(next(m.max_batch for m in whole.members if m.component.endswith("llm")))
    assert limits[0] < limits[1]


@pytest.fixture(scope="module")
def monolith() -> Plan:
    found = rivals_of(served("text_to_image", "", 8))["monolith"]
    assert found is not None
    return found


def test_one_batch_at_a_time_takes_the_sum_of_its_parts(monolith: Plan) -> None:
    """A lone request: all four components at work of batch one, within the variation of the llm's work."""
    seen = OneBatch(monolith, 8).simulate(seed=0, requests=200, multiple=0.01)
    (outcome,) = seen.outcomes.values()
    assert outcome.completion_s.mean() == pytest.approx(12.677 / 5, rel=0.05)


def test_one_batch_at_a_time_has_a_capacity_that_targets_lessen(monolith: Plan) -> None:
    """Eight requests take 7.04 + 0.46 s to draw and at least 1.42 s to write out."""
    rate_hz = sum(demand.rate_hz for demand in monolith.demands)
    found = OneBatch(monolith, 8).goodput(seed=0, requests=1500, near=1.0) * rate_hz
    assert 0.8 * 64 / 8.9 < found < 64 / 8.9


def test_a_batch_that_memory_does_not_hold_is_not_tried() -> None:
    plan = make_plan(published_task("video_qa", "", 8), Options("served")).plan
    found = rivals_of(plan)["monolith"]
    assert found is not None
    assert OneBatch(found, 12).fits
    assert not OneBatch(found, 64).fits  # 64 x 2176 tokens of half a mebibyte, beside 13.5 GB of weights


def test_requests_inside_follow_from_rate_and_time(monolith: Plan) -> None:
    at_once = inside(monolith, 0.2)
    rate_hz = 0.2 * sum(demand.rate_hz for demand in monolith.demands)
    assert at_once["text_encoder"] < 0.01
    assert at_once["llm"] == pytest.approx(rate_hz / 8 * 1.3, rel=0.3)
