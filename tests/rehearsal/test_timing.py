from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corntriton.planner.tables import speeds, table
from corntriton.rehearsal.standin.timing import Timing

SECONDS = st.floats(1e-3, 10)
WORKS = st.lists(st.floats(0.1, 100), min_size=1, max_size=4, unique=True).map(sorted)


@given(WORKS, st.data())
def test_a_stand_in_reads_times_as_the_simulator_does(works: list[float], data: st.DataObject) -> None:
    row = st.lists(SECONDS, min_size=len(works), max_size=len(works))
    rows = data.draw(st.lists(row, min_size=1, max_size=3))
    size, work = data.draw(st.integers(1, len(rows))), data.draw(st.floats(0.01, 200))
    timing = Timing(works, rows, rows[0], 0.0)
    assert timing.batch_s(size, work) == pytest.approx(table(works, rows)(size, work))
    assert timing.speed(size, work) == pytest.approx(speeds(works, rows)(size, work))


def test_draws_vary_around_the_mean_as_the_profile_says() -> None:
    draws, timing = random.Random(0), Timing([1.0], [[1.0]], [1.0], 0.3)
    found = [timing.factor(draws) for _ in range(20_000)]
    mean = sum(found) / len(found)
    deviation = (sum((each - mean) ** 2 for each in found) / len(found)) ** 0.5
    assert (mean, deviation) == (pytest.approx(1.0, rel=0.02), pytest.approx(0.3, rel=0.05))


def test_a_profile_without_spread_gives_equal_times() -> None:
    assert Timing([1.0], [[1.0]], [1.0], 0.0).factor(random.Random(0)) == 1.0
