from __future__ import annotations

import math

import pytest

from corntriton.load.arrivals import Arrival
from corntriton.load.generator import Exchange, Load
from corntriton.load.verdict import TypeVerdict, Verdict, judge
from corntriton.spec.workload import LatencyTarget, Traffic, Workload

TARGETS = (LatencyTarget(percentile=90, seconds=0.5), LatencyTarget(of="first_chunk", seconds=0.2))
WORKLOAD = Workload(rate_hz=10, request_types={"a": Traffic(share=1, targets=TARGETS)})


def exchange(number: int, done_s: float = 0.1, **more: object) -> Exchange:
    values = {"late_s": 0.0, "first_s": 0.05, "pieces": 3, "error": "", **more}
    return Exchange(Arrival(number / 10, "a", number), done_s=done_s, **values)  # type: ignore[arg-type]


def judged(*exchanges: Exchange, warm_up_s: float = 0.0) -> Verdict:
    return judge(Load(exchanges, 10.0, 0.2), WORKLOAD, warm_up_s)


def only(verdict: Verdict) -> TypeVerdict:
    [found] = verdict.types
    return found


def test_goodput_is_the_rate_of_those_that_met_every_target() -> None:
    slow = [exchange(n, 0.6) for n in range(0, 100, 10)]
    late_to_start = [exchange(n, first_s=0.3) for n in range(1, 100, 10)]
    failed = [exchange(n, error="UNAVAILABLE: full") for n in range(2, 100, 10)]
    rest = [exchange(n) for n in range(100) if n % 10 > 2]
    found = only(judged(*sorted([*slow, *late_to_start, *failed, *rest], key=lambda e: e.arrival.at_s)))
    assert found.offered_hz == 10
    assert found.goodput_hz.value == pytest.approx(7)
    assert found.goodput_hz.low <= 7 <= found.goodput_hz.high
    assert found.errors == {"UNAVAILABLE: full": 10}
    assert [kept.share.value for kept in found.kept] == pytest.approx([0.8, 0.8])
    assert [kept.met for kept in found.kept] == [False, False]


def test_percentiles_are_of_good_answers_with_an_interval_around_them() -> None:
    found = only(judged(*(exchange(n, 0.1 + 0.001 * n) for n in range(100))))
    p50 = found.completion_s[50]
    assert p50.value == pytest.approx(0.1495)
    assert p50.low < p50.value < p50.high
    assert found.met


def test_slow_times_that_come_together_make_wider_intervals_than_scattered_ones() -> None:
    together = only(judged(*(exchange(n, 0.6 if n < 20 else 0.1) for n in range(100))))
    scattered = only(judged(*(exchange(n, 0.1 if n % 5 else 0.6) for n in range(100))))
    assert together.goodput_hz.value == scattered.goodput_hz.value
    width = {each.goodput_hz.high - each.goodput_hz.low: each.name for each in (scattered, together)}
    assert max(width) == together.goodput_hz.high - together.goodput_hz.low
    assert len(width) == 2


def test_what_was_due_in_the_warm_up_does_not_count() -> None:
    found = judged(*(exchange(n, 9.0 if n < 20 else 0.1) for n in range(100)), warm_up_s=2.0)
    assert only(found).requests == 80
    assert only(found).completion_s[99].value == pytest.approx(0.1)
    assert found.offered_hz == pytest.approx(10)


def test_a_late_generator_is_called_the_bottleneck_but_a_little_lateness_is_not() -> None:
    assert judged(*(exchange(n, late_s=0.08) for n in range(100))).generator_is_bottleneck
    assert not judged(*(exchange(n, late_s=0.004) for n in range(100))).generator_is_bottleneck
    assert not judged(*(exchange(n, 10.0, late_s=0.08) for n in range(100))).generator_is_bottleneck


def test_time_per_token_is_that_between_pieces() -> None:
    target = LatencyTarget(of="per_token", percentile=50, seconds=0.1)
    workload = Workload(rate_hz=10, request_types={"a": Traffic(share=1, targets=(target,))})
    found = only(judge(Load(tuple(exchange(n, 0.25) for n in range(100)), 10.0, 0.2), workload, 0.0))
    assert found.kept[0].value_s == pytest.approx(0.1)


def test_where_all_failed_there_are_no_latencies_and_no_goodput() -> None:
    found = only(judged(*(exchange(n, error="UNAVAILABLE: full") for n in range(100))))
    assert math.isnan(found.completion_s[50].value)
    assert found.goodput_hz.value == 0
    assert not found.met
