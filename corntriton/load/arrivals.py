"""When which request is sent, whatever the server does: a workload in, arrivals out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from corntriton.spec.workload import Workload


@dataclass(frozen=True)
class Arrival:
    """A request to be sent.

    Attributes:
        at_s: After the start.
        request_type: As the workload names it.
        number: Of its type's requests, from 0.
    """

    at_s: float
    request_type: str
    number: int


def arrivals(workload: Workload, rate_hz: float, duration_s: float, seed: int) -> list[Arrival]:
    """The requests of a time: of the workload's trace, repeated as needed, else of a Poisson process.

    Args:
        workload: As read_workload gives it: with its rate, and every type's share.
        rate_hz: All types together.
        duration_s: How long to send.
        seed: The same seed gives the same requests; at another rate the same, only denser or sparser.
    """
    counts = dict.fromkeys(workload.request_types, 0)
    found = []
    for at_s, name in _trace(workload, rate_hz, duration_s) or _poisson(workload, rate_hz, duration_s, seed):
        found.append(Arrival(at_s, name, counts[name]))
        counts[name] += 1
    return found


def _poisson(workload: Workload, rate_hz: float, duration_s: float, seed: int) -> list[tuple[float, str]]:
    random = np.random.default_rng(seed)
    names = [*workload.request_types]
    shares = np.array([workload.request_types[name].share or 0.0 for name in names])
    enough = int(rate_hz * duration_s + 10 * np.sqrt(rate_hz * duration_s) + 10)
    times = np.cumsum(random.standard_exponential(enough)) / rate_hz
    chosen = random.choice(len(names), size=enough, p=shares / shares.sum())
    return [(float(at_s), names[i]) for at_s, i in zip(times, chosen, strict=True) if at_s < duration_s]


def _trace(workload: Workload, rate_hz: float, duration_s: float) -> list[tuple[float, str]]:
    if not workload.arrivals:
        return []
    assert workload.rate_hz is not None  # the reader filled it in
    squeeze = workload.rate_hz / rate_hz
    times = [at_s * squeeze for at_s, _ in workload.arrivals]
    period_s = times[-1] * len(times) / max(1, len(times) - 1)  # one mean gap between two rounds
    rounds = int(duration_s / period_s) + 1
    repeated = (
        (at_s + number * period_s, name)
        for number in range(rounds)
        for at_s, (_, name) in zip(times, workload.arrivals, strict=True)
    )
    return [(at_s, name) for at_s, name in repeated if at_s < duration_s]
