from __future__ import annotations

from dataclasses import replace

import pytest

from corntriton.errors import UserError
from corntriton.planner import planning
from corntriton.planner.candidates import allowed, prune, useful_sets
from corntriton.planner.planning import Options, make_plan, make_question
from corntriton.planner.search import search
from corntriton.planner.solver import Clock
from corntriton.spec.workload import Hints
from tests.planner.instances import random_task
from tests.planner.tasks import cluster, demand, profile, task


@pytest.mark.parametrize("seed", range(40))
def test_pruning_keeps_the_optimum(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = random_task(seed)
    try:
        cost = make_plan(wanted, Options()).plan.totals.cost_per_hour
    except UserError:
        return
    monkeypatch.setattr(planning, "prune", lambda candidates, same_set: candidates)
    question, considered = make_question(wanted, Options())
    assert len(question.candidates) == considered
    assert search(question, Clock(60), 1e-6).stages[0].value == pytest.approx(cost)


def test_a_larger_set_that_does_the_same_replaces_a_smaller_one() -> None:
    parts = [profile(name, {1: 0.3}, weights_gib=2) for name in "abc"]
    question, considered = make_question(task([demand(1.0, "a", "b", "c")], parts, cluster()), Options())
    assert considered == 7
    assert [candidate.components for candidate in question.candidates] == [("m/a", "m/b", "m/c")]


def test_a_smaller_set_stays_where_it_has_more_memory_for_batches() -> None:
    parts = [profile(name, {1: 1.0, 8: 1.0}, weights_gib=2, item_gib=1) for name in "ab"]
    question, _ = make_question(task([demand(1.0, "a", "b")], parts, cluster()), Options())
    sets = {candidate.components for candidate in question.candidates}
    assert {("m/a",), ("m/b",)} <= sets


def test_of_one_set_only_its_own_kind_replaces_a_candidate_if_sets_matter() -> None:
    parts = [profile(name, {1: 0.3}, weights_gib=2) for name in "ab"]
    question, _ = make_question(task([demand(1.0, "a", "b")], parts, cluster()), Options(one_topology=True))
    assert {c.components for c in question.candidates} == {("m/a",), ("m/b",), ("m/a", "m/b")}


def test_pruning_nothing_gives_nothing() -> None:
    assert prune([]) == []


def test_every_set_of_few_components_is_useful() -> None:
    assert len(useful_sets([demand(1.0, *"abcde")])) == 31


def test_of_many_components_the_sets_are_small_or_parts_of_a_path() -> None:
    names = [f"c{number}" for number in range(12)]
    paths = [demand(1.0, *names[:4], name="x"), demand(1.0, *names[4:], name="y")]
    sets = set(useful_sets(paths))
    assert ("m/c0", "m/c1", "m/c2", "m/c3") in sets
    assert tuple(sorted(f"m/{name}" for name in names)) in sets
    assert len(sets) < 1000


def test_hints_rule_sets_out() -> None:
    together, apart = Hints(colocate=(("a", "b"),)), Hints(separate=(("a", "b", "c"),))
    assert allowed(("a", "b"), together)
    assert not allowed(("a", "c"), together)
    assert allowed(("c",), together)
    assert allowed(("a", "d"), apart)
    assert not allowed(("a", "c", "d"), apart)


def test_the_cache_of_an_llm_limits_its_batch_to_what_its_neighbours_leave() -> None:
    # 10 GiB: 4 of llm weights leave 6 for requests of 2 each; 3 of encoder weights leave 3 for one.
    parts = [
        profile("llm", {1: 1.0, 8: 2.0}, weights_gib=4, kv_gib=2),
        profile("see", {1: 0.1}, weights_gib=3),
    ]
    wanted = task([demand(1.0, "see", "llm")], parts, cluster(), llms=["llm"])
    question, _ = make_question(replace(wanted), Options())
    batches = {c.components: c.members[0].max_batch for c in question.candidates}
    assert batches[("m/llm",)] == 3
    assert batches[("m/llm", "m/see")] == 1
