"""Reads times off profiles: a component, a device and a config in, seconds for any batch and work out.

Between measured points times are linear, in work and in batch. Beyond the largest work the last slope
goes on; below the smallest, and where only one work was measured, time is proportional to work. Beyond
the largest batch nothing is known, so no executor gets a larger one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from corntriton.spec.profiles import Latency, Profile, Sample


@dataclass(frozen=True)
class Setting:
    """The configuration that a profile holds for."""

    device: str
    tensor_parallel: int
    precision: str


@dataclass(frozen=True)
class Curve:
    """Times and sizes of one component in one setting."""

    profile: Profile

    @cached_property
    def batches(self) -> tuple[int, ...]:
        """The measured batch sizes, ascending."""
        return tuple(sorted({sample.batch for sample in self.profile.samples}))

    @cached_property
    def works(self) -> tuple[float, ...]:
        """The measured works, ascending."""
        return tuple(sorted({sample.work for sample in self.profile.samples}))

    def latency_s(self, batch: float, work: float) -> float:
        """Mean time of a batch whose items have this work on average."""
        return self._value("latency", batch, work)

    def first_chunk_s(self, batch: float, work: float) -> float:
        """Mean time to the first chunk; the whole time where that was not measured."""
        return self._value("first_chunk", batch, work)

    def item_s(self, batch: float, work: float) -> float:
        """Time of the component's devices that one item takes when batches are this large."""
        return self.latency_s(batch, work) / batch

    def spread(self) -> float:
        """Coefficient of variation of a time whose batch and work are given; the mean over the samples."""
        samples = self.profile.samples
        return sum(_deviation(s.latency) / s.latency.mean_s for s in samples) / len(samples)

    def _value(self, what: str, batch: float, work: float) -> float:
        rows = self._rows[what]
        return _along(self.batches, [_over_work(row, work) for row in rows], batch)

    @cached_property
    def _rows(self) -> dict[str, list[tuple[list[float], list[float]]]]:
        by_batch = {batch: sorted(self._at(batch), key=lambda s: s.work) for batch in self.batches}
        rows: dict[str, list[tuple[list[float], list[float]]]] = {"latency": [], "first_chunk": []}
        for samples in by_batch.values():
            works = [sample.work for sample in samples]
            rows["latency"].append((works, [sample.latency.mean_s for sample in samples]))
            firsts = [sample.first_chunk_s or sample.latency.mean_s for sample in samples]
            rows["first_chunk"].append((works, firsts))
        return rows

    def _at(self, batch: int) -> Iterable[Sample]:
        return (sample for sample in self.profile.samples if sample.batch == batch)


def _deviation(latency: Latency) -> float:
    """Standard deviation; read off the 95th percentile as of a normal distribution where it is absent."""
    if latency.std_s or latency.p95_s is None:
        return latency.std_s
    return max(latency.p95_s - latency.mean_s, 0.0) / 1.645


def _over_work(row: tuple[list[float], list[float]], work: float) -> float:
    works, times = row
    if work <= works[0] or len(works) == 1:
        return times[0] * work / works[0]
    return _along(works, times, work)


def _along(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """Linear between points, going on with the last slope to the right, constant to the left."""
    if len(xs) == 1 or x <= xs[0]:
        return ys[0]
    right = min(bisect_left(xs, x), len(xs) - 1)
    x0, x1, y0, y1 = xs[right - 1], xs[right], ys[right - 1], ys[right]
    return max(y0 + (y1 - y0) * (x - x0) / (x1 - x0), 1e-9)


class Library:
    """Finds the curve for a component in a setting, beside others or alone."""

    def __init__(self, profiles: Iterable[Profile]) -> None:
        self._curves: dict[tuple[str, Setting, tuple[str, ...]], Curve] = {}
        for profile in profiles:
            setting = Setting(profile.device, profile.tensor_parallel, profile.precision)
            self._curves[profile.component, setting, tuple(sorted(profile.beside))] = Curve(profile)

    def curve(self, component: str, setting: Setting, beside: Iterable[str] = ()) -> Curve:
        """The curve measured beside exactly these others; KeyError where there is none."""
        return self._curves[component, setting, tuple(sorted(beside))]

    def best(self, component: str, setting: Setting, others: Iterable[str]) -> Curve | None:
        """The curve measured beside exactly these others, else the one measured alone, else None."""
        measured = self._curves.get((component, setting, tuple(sorted(others))))
        return measured or self._curves.get((component, setting, ()))

    def settings(self, component: str, device: str | None = None) -> list[Setting]:
        """The settings that the component was measured in, alone or not."""
        found = {setting for name, setting, _ in self._curves if name == component}
        kept = (setting for setting in found if device in (None, setting.device))
        return sorted(kept, key=lambda s: (s.device, s.tensor_parallel, s.precision))

    def all_of(self, component: str) -> list[Curve]:
        """Every curve of a component."""
        return [curve for (name, _, _), curve in self._curves.items() if name == component]

    def components(self) -> set[str]:
        """Every component with a profile."""
        return {component for component, _, _ in self._curves}
