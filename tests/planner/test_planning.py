"""Small cases with an answer that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corntriton.errors import UserError
from corntriton.planner.compare import alternatives
from corntriton.planner.plan import Place, Plan
from corntriton.planner.planning import Options, make_plan
from corntriton.planner.task import Task
from corntriton.spec.cluster import Link
from corntriton.spec.workload import Hints, LatencyTarget, Pin
from tests.planner.checker import faults
from tests.planner.tasks import cluster, demand, profile, task

SLOW = Link(gbit_s=0.008)  # one megabyte per second


def planned(wanted: Task, **options: object) -> Plan:
    plan = make_plan(wanted, Options(**options)).plan
    assert faults(plan, plan.objective.value if plan.objective.goal == "served" else 1.0) == []
    return plan


def sets(plan: Plan) -> list[str]:
    """The executors by what lives in them, one entry for each instance."""
    return sorted(e.name.partition("@")[0] for e in plan.executors for _ in e.instances)


def test_where_memory_is_plenty_and_loads_are_odd_the_best_plan_is_monolithic() -> None:
    # Half a device each: whole copies fill two devices where separate ones would leave half of three idle.
    parts = [profile(name, {1: 0.5}, weights_gib=2) for name in "abc"]
    plan = planned(task([demand(1.0, "a", "b", "c")], parts, cluster()))
    assert sets(plan) == ["a+b+c", "a+b+c"]
    assert plan.objective.stages[1].value == pytest.approx(0, abs=1e-4)


def test_where_batches_need_the_memory_the_best_plan_is_disaggregated() -> None:
    # Alone, each fits a batch of 8, eight times as fast as one by one; together they fit a batch of 1.
    parts = [profile(name, {1: 1.0, 8: 1.0}, weights_gib=2, item_gib=1) for name in "ab"]
    wanted = task([demand(7.0, "a", "b")], parts, cluster(gpus=8))
    plan = planned(wanted)
    assert sets(plan) == ["a", "b"]
    assert [e.members[0].max_batch for e in plan.executors] == [8, 8]


def test_a_mix_of_whole_and_split_executors_can_beat_every_single_topology() -> None:
    # The llm's cache wants a device to itself; what is left of the work fits beside another copy.
    parts = [
        profile("llm", {1: 1.0, 2: 1.0, 4: 1.0}, weights_gib=2, kv_gib=2),
        profile("see", {1: 0.4}, weights_gib=4),
    ]
    wanted = task(
        [demand(3.0, "llm"), demand(2.5, "see", "llm", name="seen")], parts, cluster(), llms=["llm"]
    )
    whole = make_plan(wanted, Options())
    assert faults(whole.plan) == []
    served = {other.name: other for other in alternatives(wanted, whole, Options())}
    best = served["best mix of executors"].served
    assert best > served["best single topology"].served * 1.01
    assert served["best single topology"].served >= served["full disaggregation"].served
    assert len({frozenset(e.components) for e in whole.plan.executors}) > 1


def test_a_cpu_carries_an_encoder_where_that_is_cheaper() -> None:
    parts = [
        profile("ear", {1: 0.05}),
        profile("ear", {1: 0.2}, device="cpu"),
        profile("llm", {1: 0.1}, weights_gib=2),
    ]
    plan = planned(task([demand(10.0, "ear", "llm")], parts, cluster(cpus=4)))
    assert plan.totals.devices == {"cpu": 2, "gpu": 1}
    assert sets(plan) == ["ear", "ear", "llm"]


def test_a_narrow_network_moves_the_placement() -> None:
    # Two nodes of two devices; encoder and llm cannot share a device. Over a fast network any pairing does;
    # over a slow one every node gets one of each, so that nothing crosses.
    parts = [profile("see", {1: 1.0}, weights_gib=6), profile("llm", {1: 1.0}, weights_gib=6)]
    plan = planned(task([demand(2.0, "see", "llm", megabytes=5)], parts, cluster(2, nodes=2, nic=SLOW)))
    by_node = {node: sorted(e.name for e in plan.executors if e.count_on(node)) for node in ("n-0", "n-1")}
    assert by_node == {"n-0": ["llm@gpu", "see@gpu"], "n-1": ["llm@gpu", "see@gpu"]}
    assert all(len({stop.node for stop in route.stops.values()}) == 1 for route in plan.routes)


def test_a_network_that_is_too_narrow_costs_devices() -> None:
    # Joined, the two take turns in small batches: more devices, and nothing moves.
    parts = [profile(name, {1: 1.0, 4: 1.0}, weights_gib=2, item_gib=1.5) for name in ("see", "llm")]
    wide = planned(task([demand(4.0, "see", "llm")], parts, cluster(8)))
    narrow = planned(task([demand(4.0, "see", "llm")], parts, cluster(8, local=SLOW)))
    assert wide.totals.devices == {"gpu": 2}
    assert narrow.totals.devices["gpu"] > 2
    assert any("+" in executor.name for executor in narrow.executors)


def test_too_few_devices_are_named_with_how_many_are_missing() -> None:
    parts = [profile("llm", {1: 1.0})]
    with pytest.raises(UserError) as caught:
        make_plan(task([demand(6.0, "llm")], parts, cluster(4)), Options())
    rate, devices = caught.value.problems
    assert "is 6 requests/s, of which this cluster carries 4 (66.7%)" in str(rate)
    assert "have 4 gpu, and the workload needs 6; To fix: add 2 gpu (4 per hour)" in str(devices)


def test_links_that_are_too_narrow_are_named_with_how_wide_they_would_have_to_be() -> None:
    parts = [profile(name, {1: 1.0}, weights_gib=6) for name in ("see", "llm")]
    with pytest.raises(UserError) as caught:
        make_plan(task([demand(2.0, "see", "llm")], parts, cluster(4, local=SLOW)), Options())
    assert "of n have local links of 0.008 Gbit/s, and 0.016 are needed" in str(caught.value)


def test_a_component_that_fits_nowhere_is_named_with_its_size() -> None:
    parts = [profile("llm", {1: 1.0}, weights_gib=12)]
    with pytest.raises(UserError, match=r"m/llm takes 12.0 GiB of each device, and devices have 10.0 GiB"):
        make_plan(task([demand(1.0, "llm")], parts, cluster()), Options())


def test_hints_are_obeyed_whatever_they_cost() -> None:
    parts = [profile(name, {1: 0.5}, weights_gib=2) for name in "abc"]
    wanted = [demand(1.0, "a", "b", "c")]
    apart = Hints(separate=(("m/a", "m/b"),))
    together = Hints(colocate=(("m/a", "m/c"),))
    assert all("a+b" not in name for name in sets(planned(task(wanted, parts, cluster(), apart))))
    for name in sets(planned(task(wanted, parts, cluster(), together))):
        assert ("a" in name) == ("c" in name)


def test_a_pinned_component_lives_where_it_is_pinned() -> None:
    parts = [profile("ear", {1: 0.1}), profile("ear", {1: 0.1}, device="cpu")]
    pinned = Hints(pin={"m/ear": Pin(device="gpu")})
    assert planned(task([demand(1.0, "ear")], parts, cluster(cpus=1))).totals.devices == {"cpu": 1}
    assert planned(task([demand(1.0, "ear")], parts, cluster(cpus=1), pinned)).totals.devices == {"gpu": 1}


def test_a_profile_measured_beside_the_others_replaces_what_would_be_derived() -> None:
    # Derived, one device carries both; measured together, each takes three times as long.
    parts = [profile(name, {1: 0.4}, weights_gib=2) for name in "ab"]
    beside = [profile(one, {1: 1.2}, weights_gib=2, beside=(f"m/{other}",)) for one, other in ("ab", "ba")]
    assert sets(planned(task([demand(1.0, "a", "b")], parts, cluster()))) == ["a+b"]
    assert sets(planned(task([demand(1.0, "a", "b")], parts + beside, cluster()))) == ["a", "b"]


def test_tensor_parallel_llms_take_whole_groups_and_encoders_beside_them_get_a_copy_on_each_device() -> None:
    parts = [
        profile("llm", {1: 0.5}, weights_gib=12, tensor_parallel=2),
        profile("see", {1: 0.5}, weights_gib=2),
    ]
    plan = planned(task([demand(1.0, "see", "llm")], parts, cluster(gpus=4)))
    (executor,) = plan.executors
    assert executor.name == "llm+see@gpux2"
    assert [place.devices for place in executor.instances] == [(0, 1)]
    assert executor.usage[0].used == pytest.approx(0.75)  # the encoder's half second, on one of two devices


def test_batches_stay_small_enough_for_the_latency_target() -> None:
    parts = [profile("llm", {1: 1.0, 8: 4.0})]
    tight = [LatencyTarget(percentile=99, seconds=3.0)]
    loose = planned(task([demand(1.9, "llm")], parts, cluster()))
    strict = planned(task([demand(1.9, "llm", targets=tight)], parts, cluster()))
    assert loose.executors[0].members[0].max_batch == 8
    assert strict.executors[0].members[0].max_batch < 8
    assert strict.totals.devices["gpu"] > loose.totals.devices["gpu"]


def test_maximising_serves_the_most_that_the_cluster_can() -> None:
    parts = [profile("llm", {1: 0.5})]
    plan = planned(task([demand(1.0, "llm")], parts, cluster(3), ceiling=0.9), goal="served")
    assert plan.objective.value == pytest.approx(3 * 0.9 / 0.5)
    assert plan.predicted["m/t"].rate_hz == pytest.approx(5.4, rel=1e-5)


def test_replanning_from_a_running_plan_changes_only_what_it_must() -> None:
    # More load needs one more device; what runs stays as it is, though other plans cost the same.
    parts = [profile(name, {1: 0.3}, weights_gib=2) for name in "ab"]
    small = task([demand(1.2, "a", "b")], parts, cluster(6), Hints(separate=(("m/a", "m/b"),)))
    before = planned(small)
    large = task([demand(4.0, "a", "b")], parts, cluster(6))
    after = planned(large, running=before)
    kept = {e.name: set(e.instances) for e in before.executors}
    now = {e.name: set(e.instances) for e in after.executors}
    assert all(kept[name] <= now.get(name, set()) for name in kept)
    changes = next(stage for stage in after.objective.stages if stage.name == "changes")
    assert changes.value == sum(map(len, now.values())) - sum(map(len, kept.values()))


def test_what_runs_on_several_nodes_stays_where_it_is() -> None:
    # One a beside two b, and three a: neither dealing out evenly nor packing comes by that.
    parts = [profile(name, {1: 0.5}, weights_gib=6) for name in "ab"]
    wanted = task([demand(8.0, "a"), demand(4.0, "b", name="u")], parts, cluster(4, nodes=2))
    before = planned(wanted)
    here, there = ([Place(node, (device,)) for device in range(4)] for node in ("n-0", "n-1"))
    a, b = before.executors
    a, b = replace(a, instances=(here[0], *there[:3])), replace(b, instances=(here[1], here[2]))
    after = planned(wanted, running=replace(before, executors=(a, b)))
    assert {e.name: e.instances for e in after.executors} == {e.name: e.instances for e in (a, b)}
    changes = next(stage for stage in after.objective.stages if stage.name == "changes")
    assert (changes.value, changes.gap) == (0, 0)


def test_equal_inputs_give_equal_bytes(tmp_path: object) -> None:
    parts = [profile(name, {1: 0.3, 4: 0.6}, weights_gib=2, item_gib=1) for name in "abc"]
    wanted = task([demand(6.0, "a", "b", "c"), demand(2.0, "a", "c", name="u")], parts, cluster(8, nodes=2))
    first, second = (planned(wanted) for _ in range(2))
    assert first.to_json() == second.to_json()
    assert Plan.from_json(first.to_json()) == first


def test_requests_may_use_part_of_an_executor() -> None:
    # Whole copies serve both types; the second enters at its last component.
    parts = [profile(name, {1: 0.25}, weights_gib=2) for name in "ab"]
    plan = planned(task([demand(1.0, "a", "b"), demand(2.0, "b", name="part")], parts, cluster()))
    assert sets(plan) == ["a+b"]
    assert {stop.executor for route in plan.routes for stop in route.stops.values()} == {"a+b@gpu"}


def test_what_no_route_visits_is_not_loaded() -> None:
    parts = [profile(name, {1: 0.9}, weights_gib=2) for name in "ab"]
    plan = planned(task([demand(1.0, "a", "b")], parts, cluster()))
    for executor in plan.executors:
        visited = {
            invocation.component
            for d in plan.demands
            for invocation in d.invocations
            for route in plan.routes_of(d.name)
            if route.stops[invocation.id].executor == executor.name
        }
        assert visited == set(executor.components)


def test_a_large_cluster_is_planned_within_one_percent_of_its_bound() -> None:
    parts = [
        profile("see", {1: 0.3, 8: 1.0}, weights_gib=2, item_gib=0.5),
        profile("llm", {1: 0.5, 16: 2.0}, weights_gib=5, kv_gib=0.5),
        profile("say", {1: 0.7, 4: 1.5}, weights_gib=3, item_gib=0.5),
    ]
    wanted = task(
        [demand(900.0, "see", "llm"), demand(400.0, "see", "llm", "say", name="spoken")],
        parts, cluster(8, nodes=64, nic=Link(gbit_s=100)), llms=["llm"],
    )  # fmt: skip
    plan = planned(wanted)
    assert plan.totals.devices["gpu"] > 100
    assert plan.objective.gap <= 0.01
