"""When a series of times is steady, and when it is long enough.

Criterion, printed with each profile: the beginning is cut where that makes the standard error of the rest
smallest (MSER, marginal standard error rule: K. P. White, "An effective truncation heuristic for bias
reduction in simulation output", Simulation 69(6), 1997), of the running median of three, so that a single
outlier is no warm-up and stays in. The series is steady when at most half of it was cut. It is long enough
when 95 % confidence knows its mean to 5 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CRITERION = "steady by MSER over running medians of three; mean known to 5 % at 95 % confidence"
LEAST, MOST = 5, 200
_PRECISION = 0.05
_NORMAL_95 = 1.96


@dataclass(frozen=True)
class Series:
    """Times and where their steady part begins.

    Attributes:
        times_s: As they came.
        cut: How many of the first are warm-up.
    """

    times_s: tuple[float, ...]
    cut: int

    @property
    def steady_s(self) -> tuple[float, ...]:
        """The times that count, outliers included."""
        return self.times_s[self.cut :]

    @property
    def is_steady(self) -> bool:
        """Whether the cut left at least half, and enough to tell."""
        return len(self.times_s) >= LEAST and 2 * self.cut <= len(self.times_s)

    @property
    def is_long_enough(self) -> bool:
        """Whether more times would change little."""
        rest = np.array(self.steady_s)
        if not self.is_steady or len(rest) < LEAST:
            return False
        half_width = _NORMAL_95 * rest.std(ddof=1) / np.sqrt(len(rest))
        return len(self.times_s) >= MOST or bool(half_width <= _PRECISION * rest.mean())


def series(times_s: Sequence[float]) -> Series:
    """Finds where the steady part of some times begins."""
    return Series(tuple(times_s), _cut(np.array(times_s)))


def outliers(times_s: Sequence[float]) -> int:
    """How many lie more than three interquartile ranges above the upper quartile: Tukey's far outliers."""
    if not times_s:
        return 0
    lower, upper = np.percentile(times_s, [25, 75])
    return int((np.array(times_s) > upper + 3 * (upper - lower)).sum())


def _cut(times: np.ndarray) -> int:  # type: ignore[type-arg]
    if len(times) < LEAST:
        return 0
    smooth = np.median(np.stack([times[:-2], times[1:-1], times[2:]]), axis=0)
    smooth -= smooth.mean()  # for the digits of the sums of squares
    left = np.arange(len(smooth), 0, -1)
    means = smooth[::-1].cumsum()[::-1] / left
    squares = (smooth**2)[::-1].cumsum()[::-1] / left
    errors = np.maximum(squares - means**2, 0) / left
    # Beyond three quarters, what is left is too short to have an error that means anything.
    return int(np.argmin(errors[: max(1, 3 * len(smooth) // 4)]))
