from __future__ import annotations

import numpy as np

from corntriton.profiler.steady import outliers, series

NOISE = np.random.default_rng(0).normal(1.0, 0.02, 60)


def test_a_warm_up_is_cut_and_the_rest_is_steady() -> None:
    found = series([*np.linspace(3, 1.2, 10), *NOISE])
    assert 8 <= found.cut <= 14
    assert found.is_steady
    assert found.is_long_enough


def test_a_single_outlier_is_no_warm_up() -> None:
    times = NOISE.copy()
    times[5] = 4.0
    found = series(times)
    assert 4.0 in found.steady_s
    assert outliers(found.steady_s) == 1


def test_what_still_falls_is_not_steady() -> None:
    assert not series(np.geomspace(10, 1, 40)).is_steady


def test_few_times_are_never_enough_and_many_wide_ones_are_not_either() -> None:
    assert not series(NOISE[:4]).is_long_enough
    assert not series([1.0, 3.0] * 10).is_long_enough
    assert not series([]).is_steady
