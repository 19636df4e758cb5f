"""Times worked out beforehand, for simulations: seconds by batch and work in, quick readings out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

Rows = Sequence[Sequence[float]]  # seconds by batch and work
Reading = Callable[[int, float], float]  # of rows, for a batch and a work


def table(works: Sequence[float], rows: Rows) -> Reading:
    """A curve with its batch axis worked out beforehand: a simulation asks it for every batch."""
    if len(works) == 1:
        scale = [row[0] / works[0] for row in rows]
        return lambda batch, work: scale[batch - 1] * work
    last = len(works) - 1
    smallest = works[0]

    def at(batch: int, work: float) -> float:
        row = rows[batch - 1]
        if work <= smallest:
            return row[0] * work / smallest
        right = min(bisect_left(works, work), last)
        slope = (row[right] - row[right - 1]) / (works[right] - works[right - 1])
        return max(row[right - 1] + slope * (work - works[right - 1]), 1e-9)

    return at


def speeds(works: Sequence[float], rows: Rows) -> Reading:
    """The time of one item alone, over that of a batch."""
    if len(works) == 1:
        speeds = [rows[0][0] / row[0] for row in rows]
        return lambda batch, work: speeds[batch - 1]
    at = table(works, rows)
    return lambda batch, work: at(1, work) / at(batch, work)
