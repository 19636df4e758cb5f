"""How long a request takes when nobody else is there; a demand and its stages' times in, seconds out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from corntriton.planner.demand import Demand, Edge


@dataclass(frozen=True)
class StageTime:
    """Time of one run of an invocation, and of its first chunk."""

    run_s: float
    first_chunk_s: float


Transfer = Callable[[Edge], float]


def no_transfer(edge: Edge) -> float:
    """For what is true wherever things are placed."""
    return 0.0


def unloaded(
    demand: Demand, stages: Mapping[str, StageTime], transfer: Transfer = no_transfer
) -> tuple[float, float]:
    """Seconds to the first chunk of an answer, and to completion.

    The consumer of a chunked edge starts with the producer's first chunk and cannot end before the producer
    has: it ends after its own runs, or one run after the producer's last chunk, whichever is later.
    """
    first: dict[str, float] = {}
    done: dict[str, float] = {}
    for invocation in demand.invocations:
        stage = stages[invocation.id]
        edges = demand.into(invocation.id)
        arrived = {edge: transfer(edge) for edge in edges}
        start = max(((first if e.chunked else done)[e.producer] + arrived[e] for e in edges), default=0.0)
        last = max((done[e.producer] + arrived[e] + stage.run_s for e in edges if e.chunked), default=0.0)
        first[invocation.id] = start + stage.first_chunk_s
        done[invocation.id] = max(start + stage.run_s * invocation.chunks, last)
    answers = demand.answers or tuple(invocation.id for invocation in demand.invocations)
    return min(first[name] for name in answers), max(done.values())
