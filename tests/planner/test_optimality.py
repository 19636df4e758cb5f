from __future__ import annotations

import pytest

from corntriton.errors import UserError
from corntriton.planner import search
from corntriton.planner.planning import Options, make_plan
from tests.planner.brute_force import least_cost, most_served, size
from tests.planner.checker import faults
from tests.planner.instances import random_task

PER_TEST = 50
SMALL = 400  # ways to fill the nodes: where all of them have to be tried, tasks with more are left out


@pytest.mark.parametrize("first", range(0, 350, PER_TEST))
def test_the_least_cost_is_that_of_trying_everything_and_the_plan_obeys_the_rules(first: int) -> None:
    for seed in range(first, first + PER_TEST):
        task = random_task(seed)
        best = least_cost(task)
        if best is None:
            with pytest.raises(UserError):
                make_plan(task, Options())
            continue
        plan = make_plan(task, Options()).plan
        assert plan.totals.cost_per_hour == pytest.approx(best.cost), seed
        assert plan.objective.gap == 0, seed
        assert faults(plan) == [], seed


@pytest.mark.parametrize("first", range(1000, 1100, PER_TEST))
def test_of_the_cheapest_plans_the_one_that_moves_least_is_found(first: int) -> None:
    for seed in range(first, first + PER_TEST):
        task = random_task(seed)
        best = least_cost(task, with_bytes=True) if size(task) <= SMALL else None
        if best is not None:
            stages = {stage.name: stage for stage in make_plan(task, Options()).plan.objective.stages}
            moved = stages["bytes"].value if "bytes" in stages else 0.0
            assert moved == pytest.approx(best.megabytes, abs=1e-4), seed
            assert all(stage.bound <= stage.value + 1e-4 for stage in stages.values()), seed


@pytest.mark.parametrize("first", range(1000, 1100, PER_TEST))
def test_a_second_look_at_few_candidates_keeps_the_bounds_of_all(
    first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEW_CELLS", 0)
    for seed in range(first, first + PER_TEST):
        task = random_task(seed)
        best = least_cost(task, with_bytes=True) if size(task) <= SMALL else None
        if best is not None:
            plan = make_plan(task, Options()).plan
            stages = {stage.name: stage for stage in plan.objective.stages}
            assert faults(plan) == [], seed
            assert plan.totals.cost_per_hour == pytest.approx(best.cost), seed
            if "bytes" in stages:
                assert stages["bytes"].bound <= best.megabytes + 1e-4, seed
                assert stages["bytes"].value >= best.megabytes - 1e-4, seed


@pytest.mark.parametrize("first", range(2000, 2100, PER_TEST))
def test_the_served_multiple_is_that_of_trying_everything_and_the_plan_carries_it(first: int) -> None:
    for seed in range(first, first + PER_TEST):
        task = random_task(seed)
        if size(task) > SMALL:
            continue
        most = most_served(task)
        if most == 0:
            with pytest.raises(UserError):
                make_plan(task, Options("served"))
            continue
        plan = make_plan(task, Options("served")).plan
        assert plan.objective.value == pytest.approx(most, rel=1e-4), seed
        assert plan.served_multiple == pytest.approx(most, rel=1e-4), seed
        assert faults(plan, plan.objective.value) == [], seed
