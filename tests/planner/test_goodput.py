from __future__ import annotations

from dataclasses import replace

import pytest

from corntriton.planner.goodput import goodput, verdicts
from corntriton.planner.plan import Executor, Member, Place, Plan, Route
from corntriton.planner.simulate import simulate
from corntriton.spec.workload import LatencyTarget
from tests.planner.plans import HERE, demand, here, invocation, plan, profile


def queue(*targets: LatencyTarget, served_multiple: float = 1.0) -> Plan:
    """One executor of 10 requests a second, asked for 5; the bound on its multiple is 2."""
    one = plan(
        [demand(5.0, [invocation("a")], targets=targets)],
        [Executor("a", "gpu", 1, (Member("m/a", 1),), (Place(HERE, (0,)),))],
        [Route("m/t", 1, here("a"))],
        [profile("m/a", {1: 0.1})],
    )
    workload = one.workload.model_copy(update={"ceiling": 0.5})
    return replace(one, workload=workload, served_multiple=served_multiple)


def test_without_targets_the_goodput_is_the_capacity() -> None:
    found = goodput(queue())
    assert found.multiple == found.bound == 2.0
    assert found.limited_by is None


def test_a_loose_target_leaves_the_goodput_near_the_capacity_and_a_tight_one_does_not() -> None:
    loose = goodput(queue(LatencyTarget(percentile=90, seconds=5.0)), requests=3000)
    tight = goodput(queue(LatencyTarget(percentile=90, seconds=0.2)), requests=3000)
    assert 1.8 < loose.multiple <= 2.0
    assert 0.2 < tight.multiple < 1.3
    assert tight.limited_by == "m/t: completion within 0.2 s for 90 %"


def test_targets_hold_below_the_goodput_and_fail_above_it() -> None:
    target = LatencyTarget(percentile=95, seconds=0.5)
    one = queue(target)
    found = goodput(one, requests=4000)

    def kept(multiple: float) -> float:
        simulation = simulate(one, seed=99, requests=20_000, rate_multiple=multiple)
        return verdicts(one, simulation)["m/t"][0].kept

    assert kept(found.multiple * 0.9) > 0.95 > kept(found.multiple * 1.1)


def test_a_target_that_no_request_can_meet_gives_no_goodput() -> None:
    assert goodput(queue(LatencyTarget(seconds=0.05)), requests=400).multiple == pytest.approx(0.0, abs=1e-3)


def test_a_verdict_names_the_time_at_the_percentile_and_its_uncertainty() -> None:
    one = queue(LatencyTarget(percentile=50, seconds=0.101))
    verdict = verdicts(one, simulate(one, requests=4000))["m/t"][0]
    assert 0.0 < verdict.half_width < 0.2
    assert verdict.value_s >= 0.1
