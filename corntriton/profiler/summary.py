"""Readings become profiles: times with their spread, memory by batch and work, sizes of outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from corntriton.profiler.reading import Reading
from corntriton.profiler.steady import outliers
from corntriton.profiler.subject import Subject
from corntriton.spec.profiles import (
    Latency,
    Memory,
    OutputSize,
    Profile,
    Profiles,
    Provenance,
    Sample,
)


class Summary:
    """Makes profiles, and puts them beside older ones.

    Args:
        subjects: Every component by itself, by `model/component`.
        device: The device type that was measured on.
        provenance: Of measurements, by whether any of their inputs were made up.
        names: Full names of components, by every name they may have.
    """

    def __init__(
        self,
        subjects: Mapping[str, Subject],
        device: str,
        provenance: Mapping[bool, Provenance],
        names: Mapping[str, str],
    ) -> None:
        self._subjects = subjects
        self._device = device
        self._provenance = provenance
        self._names = names

    def profiles(self, readings: Sequence[Reading]) -> list[Profile]:
        """One for each component and what it was beside, in the order in which they came."""
        groups: dict[tuple[str, tuple[str, ...]], list[Reading]] = {}
        for reading in _shared_out(readings):
            groups.setdefault((reading.component, reading.beside), []).append(reading)
        return [self._profile(*key, group) for key, group in groups.items()]

    def merged(self, old: Profiles | None, new: Sequence[Profile], units: Mapping[str, str]) -> Profiles:
        """New profiles beside those that a file has; one of the same component and setting is replaced."""
        keys = {self._key(profile) for profile in new}
        kept = [profile for profile in (old.profiles if old else ()) if self._key(profile) not in keys]
        return Profiles(work_units={**(old.work_units if old else {}), **units}, profiles=(*kept, *new))

    def replaced(self, old: Profiles | None, new: Sequence[Profile]) -> list[Profile]:
        """Profiles of a file that measurements take the place of, though they were no measurements."""
        keys = {self._key(profile) for profile in new}
        found = old.profiles if old else ()
        return [each for each in found if self._key(each) in keys and each.provenance.how != "measured"]

    def _profile(self, component: str, beside: tuple[str, ...], group: Sequence[Reading]) -> Profile:
        is_llm = self._subjects[component].served.component.spec.kind == "llm"
        return Profile(
            component=self._short(component),
            device=self._device,
            beside=tuple(self._short(name) for name in beside),
            samples=tuple(_sample(each) for each in sorted(group, key=lambda r: (r.work, r.batch))),
            memory=_memory(group, is_llm),
            start_up_s=round(float(np.median([each.start_up_s for each in group])), 3),
            outputs=_outputs(group),
            provenance=self._provenance[any(each.synthetic for each in group)],
        )

    def _short(self, name: str) -> str:
        """Without the model, where there is one."""
        short = name.partition("/")[2]
        return short if len({each.partition("/")[0] for each in self._subjects}) == 1 else name

    def _key(self, profile: Profile) -> tuple[object, ...]:
        component = self._names.get(profile.component, profile.component)
        others = tuple(sorted(self._names.get(name, name) for name in profile.beside))
        return (component, profile.device, profile.tensor_parallel, profile.precision, others)


def _shared_out(readings: Sequence[Reading]) -> list[Reading]:
    """The weights of a process of several shared out: by what its members take alone, else evenly."""
    alone: dict[str, int] = {}
    for each in readings:
        if not each.beside:
            alone[each.component] = max(alone.get(each.component, 0), each.weights_bytes)
    found = []
    for each in readings:
        members = (each.component, *each.beside)
        known = all(alone.get(name) for name in members)
        parts = [alone[name] if known else 1 for name in members]
        found.append(replace(each, weights_bytes=round(each.weights_bytes * parts[0] / sum(parts))))
    return found


def _sample(reading: Reading) -> Sample:
    times = np.array(reading.times_s)
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    return Sample(
        batch=reading.batch,
        work=reading.work,
        latency=Latency(
            mean_s=_rounded(times.mean()),
            p50_s=_rounded(p50),
            p95_s=_rounded(p95),
            p99_s=_rounded(p99),
            max_s=_rounded(times.max()),
            std_s=_rounded(times.std(ddof=1)) if len(times) > 1 else 0.0,
        ),
        first_chunk_s=_rounded(float(np.mean(reading.first_s))) if reading.first_s else None,
        chunks=_rounded(reading.chunks) if reading.first_s else None,
        saturated_s=reading.saturated_s and _rounded(reading.saturated_s),
        count=len(times),
        warm_up=reading.cut,
        outliers=outliers(reading.times_s),
        steady=reading.steady,
    )


def _memory(group: Sequence[Reading], is_llm: bool) -> Memory:
    """Weights: the most that loading took. The rest: what no batch exceeded.

    An llm's cache grows with batch x work, which is taken for the cause where more work took more memory.
    """
    weights = max(each.weights_bytes for each in group)
    per_item = {each.work: 0.0 for each in group}
    for each in group:
        per_item[each.work] = max(per_item[each.work], each.batch_bytes / each.batch)
    works = sorted(per_item)
    if is_llm and len(works) > 1 and per_item[works[-1]] > per_item[works[0]]:
        slope = (per_item[works[-1]] - per_item[works[0]]) / (works[-1] - works[0])
        fixed = max(per_item[work] - slope * work for work in works)
        return Memory(weights_bytes=weights, item_bytes=max(0, round(fixed)), work_bytes=round(slope, 1))
    return Memory(weights_bytes=weights, item_bytes=round(max(per_item.values())))


def _outputs(group: Sequence[Reading]) -> dict[str, OutputSize]:
    """A line through sizes by work, by least squares; a size where there is one work, or it never grows."""
    sizes = {}
    for name in dict.fromkeys(name for each in group for name in each.outputs):
        points = {each.work: each.outputs[name] for each in group if name in each.outputs}
        works, nbytes = np.array([*points]), np.array([*points.values()])
        slope, fixed = np.polyfit(works, nbytes, 1) if len(points) > 1 else (0.0, nbytes[0])
        if fixed < 0 or slope < 0:  # neither is possible: the nearer of the two lines that are
            slope, fixed = (nbytes @ works / (works @ works), 0.0) if fixed < 0 else (0.0, nbytes.mean())
        sizes[name] = OutputSize(nbytes=round(float(fixed), 1), nbytes_per_work=round(float(slope), 3))
    return sizes


def _rounded(value: float) -> float:
    """Six digits: no clock is better."""
    return float(f"{value:.6g}")
