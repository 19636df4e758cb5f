"""What a load says about a deployment: answers in; goodput, latencies and their confidence out.

Confidence intervals are of a block bootstrap: the time is cut into blocks, whole blocks are drawn anew, and
each figure is computed again. Answers that wait in one queue resemble each other, so drawing single answers
would make the intervals too narrow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corntriton.load.generator import Exchange, Load
from corntriton.spec.workload import LatencyTarget, Workload

Numbers = NDArray[np.float64]
PERCENTILES = (50, 95, 99)
_BLOCKS, _DRAWS = 20, 400
_CONFIDENCE = (2.5, 97.5)
# A generator that is late by less does not matter, whatever the latencies.
_HARMLESS_S, _HARMLESS_SHARE = 0.005, 0.1


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % confidence interval; all NaN where nothing was measured."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Kept:
    """A latency target and how it was kept.

    Attributes:
        target: The promise.
        share: Of the requests, those that were fast enough; a failed one was not.
        value_s: The promised percentile, as measured.
    """

    target: LatencyTarget
    share: Estimate
    value_s: float

    @property
    def met(self) -> bool:
        """Whether as many as promised were fast enough."""
        return self.share.value >= self.target.percentile / 100


@dataclass(frozen=True)
class TypeVerdict:
    """One request type.

    Attributes:
        name: As the workload names it.
        requests: How many were due in the measured time.
        offered_hz: That many per second.
        goodput_hz: Of those that met every target of their type; without targets, of those answered.
        completion_s: p50, p95, p99 from due to the end of the answer, of good answers.
        first_s: The same to the first piece; None where answers come in one piece.
        errors: How many failed, by what failed.
        kept: Each target.
    """

    name: str
    requests: int
    offered_hz: float
    goodput_hz: Estimate
    completion_s: Mapping[int, Estimate]
    first_s: Mapping[int, Estimate] | None
    errors: Mapping[str, int]
    kept: tuple[Kept, ...]

    @property
    def met(self) -> bool:
        """Whether every target was met."""
        return all(each.met for each in self.kept)


@dataclass(frozen=True)
class Verdict:
    """The whole load.

    Attributes:
        types: Each request type that was sent.
        measured_s: The time that counts: without the warm-up.
        offered_hz: Requests that were due, per second.
        sent_hz: Requests that were sent in the same time.
        answered_hz: Good answers that came in the same time.
        late_s: p50, p99 and maximum of how late the generator was.
        cpu_share: Of one CPU, taken by the generator.
        generator_is_bottleneck: It was so late that the latencies are partly its own.
    """

    types: tuple[TypeVerdict, ...]
    measured_s: float
    offered_hz: float
    sent_hz: float
    answered_hz: float
    late_s: tuple[float, float, float]
    cpu_share: float
    generator_is_bottleneck: bool


def judge(load: Load, workload: Workload, warm_up_s: float) -> Verdict:
    """Judges what was due after the warm-up.

    Args:
        load: What was sent, and what came back.
        workload: Has the targets.
        warm_up_s: Cut off at the beginning.
    """
    measured_s = load.duration_s - warm_up_s
    counted = [each for each in load.exchanges if each.arrival.at_s >= warm_up_s]
    window = (warm_up_s, load.duration_s)
    types = []
    for name, traffic in workload.request_types.items():
        mine = [each for each in counted if each.arrival.request_type == name]
        if mine:
            types.append(_judge_type(name, mine, traffic.targets, window))
    late = np.array([each.late_s for each in counted] or [0.0])
    late_s = tuple(float(value) for value in (*np.percentile(late, [50, 99]), late.max()))
    good = [each for each in load.exchanges if not each.error]
    typical_s = float(np.median([each.done_s for each in good])) if good else 0.0
    return Verdict(
        tuple(types),
        measured_s,
        len(counted) / measured_s,
        _count(window, [each.arrival.at_s + each.late_s for each in load.exchanges]) / measured_s,
        _count(window, [each.arrival.at_s + each.done_s for each in good]) / measured_s,
        (late_s[0], late_s[1], late_s[2]),
        load.cpu_share,
        late_s[1] > max(_HARMLESS_S, _HARMLESS_SHARE * typical_s),
    )


def _judge_type(
    name: str, exchanges: Sequence[Exchange], targets: Sequence[LatencyTarget], window: tuple[float, float]
) -> TypeVerdict:
    good = [each for each in exchanges if not each.error]
    blocks, good_blocks = (_blocks_of(each, window) for each in (exchanges, good))
    offered_hz = len(exchanges) / (window[1] - window[0])
    fast = np.array([[_value_s(each, t) <= t.seconds for t in targets] for each in exchanges])
    well = np.array([float(not e.error and all(row)) for e, row in zip(exchanges, fast, strict=True)])
    share = _estimate(well, blocks, np.mean)
    completion = np.array([each.done_s for each in good])
    first = np.array([each.first_s for each in good])
    streams = any(each.pieces > 1 for each in good)
    kept = tuple(
        Kept(t, _estimate(fast[:, i].astype(float), blocks, np.mean), _percentile_s(good, t))
        for i, t in enumerate(targets)
    )
    return TypeVerdict(
        name,
        len(exchanges),
        offered_hz,
        Estimate(share.value * offered_hz, share.low * offered_hz, share.high * offered_hz),
        _percentiles(completion, good_blocks),
        _percentiles(first, good_blocks) if streams else None,
        dict(Counter(each.error for each in exchanges if each.error).most_common()),
        kept,
    )


def _value_s(exchange: Exchange, target: LatencyTarget) -> float:
    """What a target is about; a failed request took for ever."""
    if exchange.error:
        return float("inf")
    if target.of == "first_chunk":
        return exchange.first_s
    if target.of == "per_token":
        return (exchange.done_s - exchange.first_s) / max(1, exchange.pieces - 1)
    return exchange.done_s


def _percentile_s(good: Sequence[Exchange], target: LatencyTarget) -> float:
    values = [_value_s(each, target) for each in good]
    return float(np.percentile(values, target.percentile)) if values else float("nan")


def _percentiles(values: Numbers, blocks: NDArray[np.int64]) -> dict[int, Estimate]:
    return {p: _estimate(values, blocks, partial(np.percentile, q=p)) for p in PERCENTILES}


def _estimate(values: Numbers, blocks: NDArray[np.int64], statistic: Callable[[Numbers], Any]) -> Estimate:
    if not len(values):
        return Estimate(float("nan"), float("nan"), float("nan"))
    random = np.random.default_rng(0)
    cut = [part for part in (values[blocks == number] for number in range(_BLOCKS)) if len(part)]
    draws = random.integers(0, len(cut), (_DRAWS, len(cut)))
    drawn = [statistic(np.concatenate([cut[index] for index in row])) for row in draws]
    low, high = np.percentile(drawn, _CONFIDENCE)
    return Estimate(float(statistic(values)), float(low), float(high))


def _blocks_of(exchanges: Sequence[Exchange], window: tuple[float, float]) -> NDArray[np.int64]:
    begin_s, end_s = window
    times = np.array([each.arrival.at_s for each in exchanges])
    return ((times - begin_s) / (end_s - begin_s) * _BLOCKS).astype(np.int64)


def _count(window: tuple[float, float], times_s: Sequence[float]) -> int:
    return sum(window[0] <= at_s < window[1] for at_s in times_s)
