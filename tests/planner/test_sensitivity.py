from __future__ import annotations

from functools import cache

import pytest

from corntriton.planner.decide import decide
from corntriton.planner.planning import Options
from corntriton.planner.sensitivity import Margin, sensitivity
from corntriton.planner.task import Task
from corntriton.spec.workload import LatencyTarget
from tests.planner.tasks import cluster, demand, profile, task


def two_types(multiple: float) -> Task:
    """Light requests and heavy ones; the heavy one visits a second component."""
    target = LatencyTarget(percentile=95, seconds=2.0)
    demands = [
        demand(6.0 * multiple, "a", name="light", targets=[target]),
        demand(3.0 * multiple, "a", "b", name="heavy", targets=[target]),
    ]
    parts = [profile("a", {1: 0.1}, weights_gib=6), profile("b", {1: 0.1}, weights_gib=6)]
    return task(demands, parts, cluster(2))


@cache
def margins(multiple: float) -> dict[tuple[str, bool], Margin]:
    found = sensitivity(decide(two_types(multiple), Options()))
    return {(margin.what, margin.grows): margin for margin in found.margins}


def test_a_plan_with_head_room_of_a_fifth_says_so() -> None:
    full = decide(two_types(1.0), Options()).chosen.goodput.multiple
    rate = margins(full / 1.2)["rate", True]
    assert rate.factor == pytest.approx(1.2, rel=0.06)
    assert rate.fails is not None
    assert rate.fails.endswith("completion within 2 s for 95 %")


def test_a_component_that_is_the_bottleneck_has_less_room_than_one_that_is_not() -> None:
    moved = margins(0.8)
    assert moved["time of m/a", True].factor < 1.5
    assert moved["time of m/b", True].factor > 1.5 * moved["time of m/a", True].factor


def test_a_share_that_does_no_harm_may_vanish_or_take_over() -> None:
    moved = margins(0.8)
    assert moved["share of m/heavy", False].factor == 0
    light = moved["share of m/light", True]
    assert light.factor == pytest.approx(1.5)  # all requests
    assert light.fails is None


def test_a_plan_that_serves_the_most_is_looked_at_below_its_goodput() -> None:
    decision = decide(two_types(1.0), Options("served"))
    seen = sensitivity(decision)
    assert seen.at == pytest.approx(0.9 * decision.chosen.goodput.multiple)
    assert seen.margins[0].factor == pytest.approx(1 / 0.9, rel=0.06)
