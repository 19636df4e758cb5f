from __future__ import annotations

import itertools
from collections import Counter

import pytest

from corntriton.load.arrivals import arrivals
from corntriton.spec.workload import Traffic, Workload

TYPES = {"often": Traffic(share=0.75), "seldom": Traffic(share=0.25), "never": Traffic(share=0)}
POISSON = Workload(rate_hz=1, request_types=TYPES)
TRACE = Workload(rate_hz=1, request_types=TYPES, arrivals=((0.0, "often"), (0.5, "seldom"), (2.0, "often")))


def test_a_poisson_process_has_its_rate_its_mix_and_irregular_gaps() -> None:
    found = arrivals(POISSON, rate_hz=100, duration_s=100, seed=1)
    assert len(found) == pytest.approx(10_000, rel=0.05)
    counts = Counter(each.request_type for each in found)
    assert counts["often"] / len(found) == pytest.approx(0.75, abs=0.02)
    assert not counts["never"]
    gaps = [b.at_s - a.at_s for a, b in itertools.pairwise(found)]
    mean = sum(gaps) / len(gaps)
    assert (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5 == pytest.approx(mean, rel=0.05)


def test_a_seed_fixes_everything_and_a_rate_only_stretches_it() -> None:
    slow, fast = (arrivals(POISSON, rate_hz=rate, duration_s=100 / rate, seed=7) for rate in (1, 10))
    assert arrivals(POISSON, 1, 100, 7) == slow
    assert [each.request_type for each in slow] == [each.request_type for each in fast]
    assert [each.at_s for each in slow] == pytest.approx([10 * each.at_s for each in fast])


def test_a_trace_is_repeated_and_stretched_to_the_rate() -> None:
    found = arrivals(TRACE, rate_hz=1, duration_s=6, seed=0)
    assert [each.at_s for each in found] == [0, 0.5, 2, 3, 3.5, 5]
    assert [each.number for each in found] == [0, 0, 1, 2, 1, 3]
    assert [each.at_s for each in arrivals(TRACE, 2, 3, 0)] == [each.at_s / 2 for each in found]
