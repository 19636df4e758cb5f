from __future__ import annotations

import pytest

from corntriton.planner.curves import Curve, Library, Setting
from corntriton.planner.demand import Demand, Edge, Invocation
from corntriton.planner.latency import StageTime, unloaded
from corntriton.spec.profiles import Latency, Memory, Profile, Provenance, Sample
from corntriton.spec.workload import Work
from tests.planner.tasks import profile


def curve(*samples: Sample) -> Curve:
    provenance = Provenance(how="assumed", source="a test")
    memory = Memory(weights_bytes=0)
    own = Profile(component="m/a", device="gpu", samples=samples, memory=memory, provenance=provenance)
    return Curve(own)


def sample(batch: int, work: float, mean_s: float, **more: float) -> Sample:
    first = more.pop("first_chunk_s", None)
    return Sample(batch=batch, work=work, latency=Latency(mean_s=mean_s, **more), first_chunk_s=first)


def test_times_are_linear_between_samples_in_work_and_in_batch() -> None:
    found = curve(sample(1, 100, 1.0), sample(1, 300, 2.0), sample(3, 100, 2.0), sample(3, 300, 6.0))
    assert found.latency_s(1, 200) == pytest.approx(1.5)
    assert found.latency_s(2, 100) == pytest.approx(1.5)
    assert found.latency_s(2, 200) == pytest.approx(2.75)
    assert found.item_s(2, 200) == pytest.approx(1.375)


def test_beyond_the_largest_work_the_last_slope_goes_on_and_below_the_smallest_time_is_proportional() -> None:
    found = curve(sample(1, 100, 1.0), sample(1, 300, 2.0))
    assert found.latency_s(1, 500) == pytest.approx(3.0)
    assert found.latency_s(1, 50) == pytest.approx(0.5)


def test_one_measured_work_makes_time_proportional_to_work() -> None:
    assert curve(sample(1, 10, 1.0)).latency_s(1, 25) == pytest.approx(2.5)


def test_the_first_chunk_is_the_whole_where_it_was_not_measured() -> None:
    assert curve(sample(1, 1, 2.0)).first_chunk_s(1, 1) == 2.0
    assert curve(sample(1, 1, 2.0, first_chunk_s=0.5)).first_chunk_s(1, 1) == 0.5


def test_the_spread_comes_from_the_deviation_or_the_95th_percentile() -> None:
    assert curve(sample(1, 1, 2.0, std_s=0.4)).spread() == pytest.approx(0.2)
    assert curve(sample(1, 1, 2.0, p95_s=2.0 + 1.645)).spread() == pytest.approx(0.5)


def test_a_curve_measured_beside_exactly_the_others_is_preferred() -> None:
    alone, beside = profile("a", {1: 1.0}), profile("a", {1: 2.0}, beside=("m/b",))
    library = Library([alone, beside])
    setting = Setting("gpu", 1, "default")
    assert library.best("m/a", setting, ["m/b"]) == Curve(beside)
    assert library.best("m/a", setting, ["m/b", "m/c"]) == Curve(alone)
    assert library.best("m/a", Setting("cpu", 1, "default"), []) is None


def test_the_unloaded_time_is_that_of_the_longest_way_through_the_path() -> None:
    invocations = tuple(Invocation(name, f"m/{name}", Work(mean=1)) for name in "abcd")
    edges = (Edge("a", "c", 1), Edge("b", "c", 1), Edge("c", "d", 1))
    stages = {name: StageTime(seconds, seconds) for name, seconds in zip("abcd", (1, 3, 2, 1), strict=True)}
    first, done = unloaded(Demand("m/t", 1, invocations, edges, ("c", "d")), stages, lambda edge: 0.5)
    assert first == pytest.approx(3 + 0.5 + 2)
    assert done == pytest.approx(3 + 0.5 + 2 + 0.5 + 1)


def test_what_takes_chunks_starts_with_the_first_and_ends_after_the_last() -> None:
    llm, say = Invocation("llm", "m/llm", Work(mean=1)), Invocation("say", "m/say", Work(mean=1), chunks=4)
    demand = Demand("m/t", 1, (llm, say), (Edge("llm", "say", 1, chunked=True),), ("say",))
    slow_llm = {"llm": StageTime(10, 1), "say": StageTime(0.5, 0.5)}
    slow_say = {"llm": StageTime(2, 1), "say": StageTime(3, 3)}
    assert unloaded(demand, slow_llm) == pytest.approx((1.5, 10.5))
    assert unloaded(demand, slow_say) == pytest.approx((4, 13))
