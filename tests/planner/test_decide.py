from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Literal

import pytest

from corntriton.errors import UserError
from corntriton.planner.contest import APART, MONOLITH, SINGLE, Contest, Finalist
from corntriton.planner.decide import Decision, decide
from corntriton.planner.goodput import Goodput
from corntriton.planner.latency import unloaded
from corntriton.planner.limits import fastest_stages
from corntriton.planner.planning import Options, make_plan, try_plan
from corntriton.planner.rivals import Rival, notes_of
from corntriton.planner.task import Task
from corntriton.spec.workload import LatencyTarget
from tests.planner.checker import faults
from tests.planner.instances import random_task
from tests.planner.tasks import cluster, demand, profile, task


def with_targets(wanted: Task, times: float = 5.0) -> Task:
    """Every type's completion at the 90th percentile, within so many times its unloaded time."""
    demands = []
    for one in wanted.demands:
        _, done_s = unloaded(one, fastest_stages(one, wanted.library))
        demands.append(replace(one, targets=(LatencyTarget(percentile=90, seconds=times * done_s),)))
    return replace(wanted, demands=tuple(demands))


def check(decision: Decision) -> None:
    """What has to be true of every decision."""
    plan = decision.planned.plan
    assert faults(plan, plan.objective.value if plan.objective.goal == "served" else 1.0) == []
    assert plan.to_json() == type(plan).from_json(plan.to_json()).to_json()
    for rival in decision.rivals:
        assert rival.searched <= decision.chosen.searched
        if rival.goodput.multiple > decision.chosen.goodput.multiple:
            assert any("fresh seeds change the order" in note for note in plan.notes)
        for device, count in rival.plan.totals.devices.items():
            assert count <= plan.totals.devices.get(device, 0) or plan.objective.goal == "served"


def queue(rate_hz: float, seconds: float = 1e9, gpus: int = 4) -> Task:
    """One component of ten requests a second on each device."""
    target = LatencyTarget(percentile=95, seconds=seconds)
    return task([demand(rate_hz, "a", targets=[target])], [profile("a", {1: 0.1})], cluster(gpus))


def test_baselines_that_are_equal_keep_their_names() -> None:
    decision = decide(queue(16.0, seconds=3.0), Options())
    fares = {rival.name: rival.goodput.multiple for rival in decision.rivals}
    assert fares == dict.fromkeys((MONOLITH, APART, SINGLE), decision.chosen.goodput.multiple)


def test_leaders_are_different_plans() -> None:
    contest = Contest(slow_speech(), Options("served"), seed=0)
    contest.run()
    plans = [one.planned.plan for one in contest.leaders()]
    assert len(plans) == len({plan.executors for plan in plans}) > 1
    assert len(contest.finalists) > len({id(one.planned) for one in contest.finalists})


def test_what_is_predicted_is_simulated_with_seeds_that_had_no_part_in_the_choice() -> None:
    contest = Contest(queue(16.0, seconds=0.3), Options(), seed=0)
    contest.run()
    best = contest.settle()[0]
    again = contest.again(best)
    assert best.goodput is not None
    assert again.multiple != best.goodput.multiple
    assert again.multiple == pytest.approx(best.goodput.multiple, rel=0.2)
    assert contest.again(best) is again


def fares(name: str, searched: float, fresh: float, half_width: float = 0.01) -> Rival:
    """A rival with these goodputs, and the plan of the queue."""
    plan = make_plan(queue(16.0, seconds=3.0), Options()).plan
    return Rival(name, plan, Goodput(fresh, half_width, fresh, 9.0, {}, None), searched, {})


@pytest.mark.parametrize(
    ("rival", "said"),
    [
        (
            fares("monolith", 1.4, 1.6),
            "fresh seeds change the order: monolith serves 1.60x against 1.50x, beyond",
        ),
        (
            fares("monolith", 1.4, 1.52, 0.1),
            "fresh seeds change the order: monolith serves 1.52x against 1.50x, within",
        ),
        (
            fares("monolith", 1.7, 1.7),
            "taken as the nearest to what runs, not for its goodput: monolith serves 1.70x",
        ),
        (fares("monolith", 1.4, 1.4), None),
    ],
)
def test_a_baseline_that_does_better_is_noted_with_the_reason(rival: Rival, said: str | None) -> None:
    chosen = fares("chosen", 1.5, 1.5)
    winner = Finalist(
        "chosen", make_plan(queue(16.0, seconds=3.0), Options()), Options(), 1.5, chosen.goodput
    )
    notes = list(notes_of(winner, chosen, [rival], chosen.plan))
    assert [said in note for note in notes] == ([True] if said else [])


@pytest.mark.parametrize("goal", ["cost", "served"])
@pytest.mark.parametrize("seed", range(10))
def test_no_baseline_on_the_same_devices_is_better_than_the_plan(
    seed: int, goal: Literal["cost", "served"]
) -> None:
    wanted = with_targets(random_task(seed))
    if try_plan(wanted, Options(goal)) is not None:
        check(decide(wanted, Options(goal)))


def test_the_cheapest_devices_are_taken_when_they_are_in_time() -> None:
    decision = decide(queue(16.0, seconds=3.0), Options())
    assert decision.planned.plan.totals.devices == {"gpu": 2}
    assert decision.planned.plan.objective.gap == 0


def test_a_device_more_is_taken_where_the_target_needs_it_and_the_plan_says_so() -> None:
    wanted = queue(19.5, seconds=0.25)
    least = make_plan(wanted, Options()).plan
    plan = decide(wanted, Options()).planned.plan
    assert (least.totals.devices, plan.totals.devices) == ({"gpu": 2}, {"gpu": 3})
    assert plan.objective.multiple > 1
    assert any("on cheaper devices targets were missed" in note for note in plan.notes)


def test_a_plan_that_misses_its_targets_on_all_devices_says_by_how_much() -> None:
    decision = decide(queue(19.5, seconds=0.25, gpus=2), Options())
    assert decision.chosen.goodput.multiple < 1
    assert any("misses latency targets on this cluster" in note for note in decision.planned.plan.notes)


def test_predictions_are_of_the_planned_rates() -> None:
    plan = decide(queue(16.0, seconds=3.0), Options()).planned.plan
    known = plan.predicted["m/t"]
    assert known.rate_hz == pytest.approx(16.0)
    assert known.goodput_hz is not None
    assert known.p50_s is not None
    assert known.p99_s is not None
    assert 0.1 <= known.p50_s <= known.p99_s
    assert 16.0 <= known.goodput_hz <= 20.0


def test_what_cannot_be_carried_ends_with_advice_as_without_simulation() -> None:
    with pytest.raises(UserError, match="To fix: add 2 gpu"):
        decide(queue(55.0), Options())


def slow_speech() -> Task:
    """An llm in a hurry beside a slow component that fills batches: together each stretches the other."""
    parts = [
        profile("llm", {1: 0.5, 16: 2.0}, weights_gib=2, kv_gib=0.1),
        profile("speech", {1: 10.0, 8: 20.0}, weights_gib=2, item_gib=0.1),
    ]
    demands = [
        demand(4.0, "llm", targets=[LatencyTarget(percentile=95, seconds=2.5)]),
        demand(0.5, "llm", "speech", name="spoken", targets=[LatencyTarget(percentile=95, seconds=52.0)]),
    ]
    return task(demands, parts, cluster(8), llms=["llm"])


@cache
def most_speech() -> Decision:
    return decide(slow_speech(), Options("served"), seed=3)


def test_what_slows_others_down_gets_devices_of_its_own_where_that_serves_more() -> None:
    decision = most_speech()
    check(decision)
    fares = {rival.name: rival.goodput.multiple for rival in decision.rivals}
    assert decision.chosen.goodput.multiple > 1.2 * fares["monolith"]
    # By capacity alone, which knows nothing of that, all live together.
    by_capacity = make_plan(slow_speech(), Options("served")).plan
    assert [executor.components for executor in by_capacity.executors] == [("m/llm", "m/speech")]


def test_the_monolith_is_a_full_copy_on_every_device() -> None:
    decision = most_speech()
    (monolith,) = (rival.plan for rival in decision.rivals if rival.name == "monolith")
    (executor,) = monolith.executors
    assert executor.components == ("m/llm", "m/speech")
    assert len(executor.instances) == 8


def test_equal_seeds_give_equal_bytes() -> None:
    again = decide(slow_speech(), Options("served"), seed=3).planned.plan
    assert again.to_json() == most_speech().planned.plan.to_json()


def test_a_running_plan_that_is_in_time_stays() -> None:
    before = decide(queue(16.0, seconds=3.0), Options()).planned.plan
    after = decide(queue(16.5, seconds=3.0), Options(running=before)).planned.plan
    assert after.executors[0].instances == before.executors[0].instances
