from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corntriton.planner.demand import Edge
from corntriton.planner.plan import Cache, Executor, Member, Place, Plan, Route, Stop
from corntriton.planner.simulate import simulate
from corntriton.planner.trace import chrome_trace
from corntriton.spec.cluster import Link
from tests.planner.plans import HERE, demand, here, invocation, plan, profile

ALONE_HZ = 1e-6  # so seldom that no request meets another


def executor(
    *members: Member, count: int = 1, name: str | None = None, node: str = HERE, **more: object
) -> Executor:
    places = tuple(Place(node, (index,)) for index in range(count))
    return Executor(name or members[0].component.removeprefix("m/"), "gpu", 1, members, places, **more)


def single(rate_hz: float, latencies_s: dict[int, float], max_batch: int = 1, count: int = 1) -> Plan:
    one = executor(Member("m/a", max_batch), count=count)
    return plan(
        [demand(rate_hz, [invocation("a")])],
        [one],
        [Route("m/t", 1, here("a"))],
        [profile("m/a", latencies_s)],
    )


def completion_s(one: Plan, **options: object) -> np.ndarray:  # type: ignore[type-arg]
    return simulate(one, hop_s=0.0, **options).outcomes["m/t"].completion_s


def test_the_mean_time_in_an_m_d_1_queue_is_what_pollaczek_and_khinchine_say() -> None:
    found = completion_s(single(8.0, {1: 0.1}), requests=200_000).mean()
    assert found == pytest.approx(0.1 + 0.8 * 0.1 / (2 * 0.2), rel=0.05)


def test_instances_of_one_executor_share_a_queue() -> None:
    one, many = single(0.8 * 10, {1: 0.1}), single(0.8 * 40, {1: 0.1}, count=4)
    assert completion_s(many, requests=50_000).mean() < 0.6 * completion_s(one, requests=50_000).mean()


def test_utilisation_is_rate_times_service_time() -> None:
    found = simulate(single(30.0, {1: 0.1}, count=4), requests=50_000)
    assert found.busy["a on n-0"] == pytest.approx(0.75, rel=0.03)


def test_a_queue_that_batches_carries_what_one_that_does_not_cannot() -> None:
    overloaded = completion_s(single(20.0, {1: 0.1, 8: 0.2}, max_batch=1), requests=5000)
    batching = completion_s(single(20.0, {1: 0.1, 8: 0.2}, max_batch=8), requests=5000)
    assert batching.max() < 1.0 < overloaded.max()


def test_equal_seeds_give_equal_results_and_other_seeds_others() -> None:
    one = single(8.0, {1: 0.1})
    again = [completion_s(one, seed=seed, requests=500) for seed in (3, 3, 4)]
    assert np.array_equal(again[0], again[1])
    assert not np.array_equal(again[0], again[2])


def test_a_trace_is_followed_as_it_is() -> None:
    quiet = plan(
        [demand(1.0, [invocation("a")])],
        [executor(Member("m/a", 1))],
        [Route("m/t", 1, here("a"))],
        [profile("m/a", {1: 0.5})],
        arrivals=((0.0, "m/t"), (0.1, "m/t"), (5.0, "m/t")),
    )
    assert completion_s(quiet, requests=3, warm_up=0.0) == pytest.approx([0.5, 0.9, 0.5])


def fork_and_join(slow_s: float) -> Plan:
    names = ("a", "b", "c", "d")
    edges = [Edge("a", "b", 0), Edge("a", "c", 0), Edge("b", "d", 0), Edge("c", "d", 0)]
    return plan(
        [demand(ALONE_HZ, [invocation(name) for name in names], edges)],
        [executor(Member(f"m/{name}", 1)) for name in names],
        [Route("m/t", 1, here(*names))],
        [profile(f"m/{name}", {1: slow_s if name == "c" else 0.1}) for name in names],
    )


def test_a_join_waits_for_its_slowest_branch() -> None:
    assert completion_s(fork_and_join(0.3), requests=20) == pytest.approx(0.5, abs=1e-6)


def test_members_of_one_instance_share_its_device() -> None:
    """Two branches that would run at once elsewhere halve each other's speed on the same device."""
    edges = [Edge("a", "b", 0), Edge("a", "c", 0)]
    both = executor(Member("m/a", 1), Member("m/b", 1), Member("m/c", 1), name="all")
    together = plan(
        [demand(ALONE_HZ, [invocation("a"), invocation("b"), invocation("c")], edges)],
        [both],
        [Route("m/t", 1, here("a", "b", "c", executor="all"))],
        [profile(f"m/{name}", {1: 0.1}) for name in "abc"],
    )
    assert completion_s(together, requests=20) == pytest.approx(0.3, abs=1e-6)


def llm(
    rate_hz: float, latencies_s: dict[int, float], max_batch: int, cache_bytes: float = 1e12, **more: object
) -> Plan:
    engine = executor(Member("m/llm", max_batch), caches=(Cache("m/llm", cache_bytes, 1.0),))
    return plan(
        [demand(rate_hz, [invocation("llm", mean=100)])],
        [engine],
        [Route("m/t", 1, here("llm"))],
        [profile("m/llm", {batch: t / 100 for batch, t in latencies_s.items()}, **more)],
    )


def half_a_second_apart(one: Plan) -> Plan:
    arrivals = ((0.0, "m/t"), (0.5, "m/t"), (9.0, "m/t"))
    return replace(one, workload=one.workload.model_copy(update={"arrivals": arrivals}))


def test_a_continuous_batch_lets_requests_in_while_others_run() -> None:
    """Two at once go at the speed of batch 2; when the first is out the second goes on alone."""
    pair = llm(1.0, {1: 1.0, 2: 1.5}, 2)
    found = completion_s(half_a_second_apart(pair), requests=2, warm_up=0.0)
    # Each does half of its work alone in 0.5 s, and half beside the other at 2/3 of the speed.
    assert found == pytest.approx([1.25, 1.25])


def test_a_full_cache_makes_the_next_request_wait() -> None:
    small = llm(1.0, {1: 1.0, 2: 1.5}, 2, cache_bytes=150)
    assert completion_s(half_a_second_apart(small), requests=2, warm_up=0.0) == pytest.approx([1.0, 1.5])


def speaking(chunks: int) -> Plan:
    """An llm of 1 s that streams to a vocoder with 0.1 s a chunk."""
    engine = executor(Member("m/llm", 4), caches=(Cache("m/llm", 1e12, 1.0),))
    return plan(
        [
            demand(
                ALONE_HZ,
                [invocation("llm"), invocation("voc", chunks=chunks)],
                [Edge("llm", "voc", 0, chunked=True)],
            )
        ],
        [engine, executor(Member("m/voc", 1))],
        [Route("m/t", 1, here("llm", "voc"))],
        [profile("m/llm", {1: 1.0, 4: 1.0}, first_chunk_s=0.2), profile("m/voc", {1: 0.1})],
    )


def test_a_consumer_of_chunks_runs_while_its_producer_still_does() -> None:
    outcome = simulate(speaking(4), requests=20, hop_s=0.0).outcomes["m/t"]
    assert outcome.completion_s == pytest.approx(1.1, abs=1e-6)
    # The first of four chunks is complete a quarter of the way from the first token to the last.
    assert outcome.first_chunk_s == pytest.approx(0.2 + 0.8 / 4 + 0.1, abs=1e-6)


def test_edges_between_nodes_take_the_network_and_edges_within_an_instance_nothing() -> None:
    def chain(there: str) -> Plan:
        return plan(
            [demand(ALONE_HZ, [invocation("a"), invocation("b")], [Edge("a", "b", 1e8)])],
            [executor(Member("m/a", 1)), executor(Member("m/b", 1), node=there)],
            [Route("m/t", 1, {"a": Stop("a", HERE), "b": Stop("b", there)})],
            [profile("m/a", {1: 0.1}), profile("m/b", {1: 0.1})],
            nic=Link(gbit_s=8, latency_ms=5),
        )

    assert completion_s(chain("n-1"), requests=20) == pytest.approx(0.2 + 1e8 / 1e9 + 5e-3, abs=1e-6)
    assert completion_s(chain(HERE), requests=20) == pytest.approx(0.2 + 1e8 / 1e10, abs=1e-6)


def test_an_orchestrator_makes_one_hop_after_another() -> None:
    busy = single(600.0, {1: 1e-6}, count=8)
    assert simulate(busy, requests=5000, hop_s=5e-3).outcomes["m/t"].completion_s.max() > 1.0


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.floats(0.1, 2.0),
    st.integers(0, 5),
    st.booleans(),
)
def test_every_request_is_answered_and_none_faster_than_alone(
    elements: int, chunks: int, count: int, rate_multiple: float, seed: int, together: bool
) -> None:
    members = (Member("m/a", 2), Member("m/b", 2))
    executors = (
        [executor(*members, name="all", count=count)]
        if together
        else [executor(m, count=count) for m in members]
    )
    stops = here("a", "b", executor="all" if together else None)
    one = plan(
        [
            demand(
                2.0,
                [invocation("a", elements=elements), invocation("b", chunks=chunks)],
                [Edge("a", "b", 1000)],
            )
        ],
        executors,
        [Route("m/t", 1, stops)],
        [profile("m/a", {1: 0.1, 2: 0.1}), profile("m/b", {1: 0.1, 2: 0.1})],
    )
    found = simulate(one, seed=seed, requests=60, rate_multiple=rate_multiple, warm_up=0.0)
    assert len(found.outcomes["m/t"].completion_s) == 60
    assert found.outcomes["m/t"].completion_s.min() >= 0.1 + 0.1 * chunks - 1e-9
    assert found.stages == 60 * (1 + chunks)


def test_a_trace_for_perfetto_has_a_bar_for_every_stage() -> None:
    found = simulate(fork_and_join(0.3), requests=5, spans=True)
    events = chrome_trace(found)["traceEvents"]
    assert sum(event["ph"] == "X" for event in events) == 5 * 4
    assert {event["args"]["name"] for event in events if event["ph"] == "M"} == {
        f"{n} on n-0" for n in "abcd"
    }
