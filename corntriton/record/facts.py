"""What is known of a request before anything is computed; the only things that a flow may branch on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from corntriton.record.path import Guard, Path, Scalar

Answer = Scalar | tuple[int, ...]
# A request parameter that names wanted outputs, `answer,speech`, for clients whose protocol cannot: HTTP's
# generate and generate_stream.
OUTPUTS_PARAMETER = "outputs"


@dataclass(frozen=True)
class Facts:
    """The facts of one request, or of a request type.

    Attributes:
        shapes: The shape of each input that is present and no list; None where it is not known, as in
            a request type that does not state it.
        counts: The number of elements of each list input that is present.
        wanted: The outputs that the client asked for.
        parameters: The request's parameters.
    """

    shapes: Mapping[str, tuple[int, ...] | None] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    wanted: frozenset[str] = frozenset()
    parameters: Mapping[str, Scalar] = field(default_factory=dict)


def _present(facts: Facts, name: str) -> Answer:
    return name in facts.shapes or name in facts.counts


def _some(facts: Facts, name: str) -> Answer:
    return facts.counts.get(name, 0) > 0


def _count(facts: Facts, name: str) -> Answer:
    return facts.counts.get(name, 0)


def _shape(facts: Facts, name: str) -> Answer:
    return facts.shapes.get(name)


def _wants(facts: Facts, name: str) -> Answer:
    return name in facts.wanted


def _parameter(facts: Facts, name: str) -> Answer:
    return facts.parameters.get(name)


# How the question of each kind of guard is answered.
ANSWERS: Mapping[str, Callable[[Facts, str], Answer]] = {
    "present": _present,
    "some": _some,
    "count": _count,
    "shape": _shape,
    "wants": _wants,
    "parameter": _parameter,
}


def matches(path: Path, facts: Facts) -> bool:
    """Whether the facts give the answer that the path's guards hold, each of them."""
    return all(_holds(guard, facts) for guard in path.guards)


def _holds(guard: Guard, facts: Facts) -> bool:
    answer = ANSWERS[guard.kind](facts, guard.name)
    # A flow can tell True from 1 and 1 from 1.0, which Python calls equal.
    return answer == guard.value and type(answer) is type(guard.value)
