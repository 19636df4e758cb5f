"""How long a stand-in takes: rows of seconds, as the simulator has them, in; the time of a batch out."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """One component in one executor, in seconds of the plan.

    Attributes:
        works: Measured works, ascending.
        rows: For each batch size from 1 on, the mean seconds at each work.
        firsts: Seconds to the first chunk of an item that is alone, at each work.
        spread: Coefficient of variation of a time whose batch and work are given.
    """

    works: Sequence[float]
    rows: Sequence[Sequence[float]]
    firsts: Sequence[float]
    spread: float

    def batch_s(self, size: int, work: float) -> float:
        """Mean of a batch whose items have this work on average."""
        return _at(self.works, self.rows[size - 1], work)

    def first_s(self, work: float) -> float:
        """Mean time to the first chunk of an item that is alone."""
        return _at(self.works, self.firsts, work)

    def speed(self, size: int, work: float) -> float:
        """Of each of so many items that an llm has in it, beside one that is alone."""
        return self.batch_s(1, work) / self.batch_s(size, work)

    def factor(self, draws: random.Random) -> float:
        """A draw of the variation between times whose batch and work are equal: log-normal with mean 1."""
        if self.spread <= 0:
            return 1.0
        variance = math.log1p(self.spread**2)
        return draws.lognormvariate(-variance / 2, math.sqrt(variance))


def _at(works: Sequence[float], seconds: Sequence[float], work: float) -> float:
    """As planner/tables.py, which a server does not have; a test holds the two together."""
    if len(works) == 1 or work <= works[0]:
        return seconds[0] * work / works[0]
    right = min(bisect_left(works, work), len(works) - 1)
    slope = (seconds[right] - seconds[right - 1]) / (works[right] - works[right - 1])
    return max(seconds[right - 1] + slope * (work - works[right - 1]), 1e-9)
