"""Turns a recorded path into invocations with work and edges with bytes; the numbers come from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from corntriton.planner.demand import Edge, Invocation
from corntriton.record import path as recorded
from corntriton.record.path import Argument, Chunks, Items, Output, Spread
from corntriton.spec.workload import Work


@dataclass(frozen=True)
class Numbers:
    """What a recorded path does not say.

    Attributes:
        counts: Length of each list input.
        component: The planner's name of a component.
        work: Of one run of an invocation.
        chunks: Of an invocation that works chunk by chunk.
        nbytes: Of an output of one run: component, output name, work.
    """

    counts: Mapping[str, int]
    component: Callable[[str], str]
    work: Callable[[recorded.Invocation], Work]
    chunks: Callable[[recorded.Invocation], int]
    nbytes: Callable[[str, str, float], float]


def invocations_of(path: recorded.Path, numbers: Numbers) -> tuple[Invocation, ...]:
    """The path's invocations; those mapped over an empty list never run and are left out."""
    found = []
    for invocation in path.invocations:
        elements = 1 if invocation.over is None else numbers.counts.get(invocation.over, 1)
        chunks = numbers.chunks(invocation) if is_chunked(invocation) else 1
        if elements:
            name = numbers.component(invocation.component)
            found.append(Invocation(invocation.id, name, numbers.work(invocation), elements, chunks))
    return tuple(found)


def edges_of(path: recorded.Path, invocations: tuple[Invocation, ...], numbers: Numbers) -> tuple[Edge, ...]:
    """What passes between each pair of the invocations."""
    run = {invocation.id: invocation for invocation in invocations}
    over = {invocation.id: invocation.over for invocation in path.invocations}
    pairs: dict[tuple[str, str], dict[tuple[str, bool], float]] = {}
    whole: set[tuple[str, str]] = set()
    for consumer in path.invocations:
        for source, chunked, joined in _sources(consumer.inputs.values()):
            producer = run.get(source.invocation)
            if consumer.id not in run or producer is None:
                continue
            pair = (producer.id, consumer.id)
            size = numbers.nbytes(producer.component, source.name, producer.work.mean) * producer.runs
            # Each element of a mapped consumer gets a copy of what is not an element itself.
            spread_out = consumer.over is not None and over[producer.id] is None and not joined
            copies = run[consumer.id].elements if spread_out else 1
            pairs.setdefault(pair, {})[source.name, joined] = size * copies
            if not chunked:
                whole.add(pair)
    return tuple(
        Edge(producer, consumer, sum(sizes.values()), (producer, consumer) not in whole)
        for (producer, consumer), sizes in pairs.items()
    )


def answers_of(path: recorded.Path, invocations: tuple[Invocation, ...]) -> tuple[str, ...]:
    """The invocations whose outputs are sent to the client."""
    ids = [invocation.id for invocation in invocations]
    sent = {source.invocation for source, _, _ in _sources(path.outputs.values())}
    return tuple(name for name in ids if name in sent)


def is_chunked(invocation: recorded.Invocation) -> bool:
    """Whether it works chunk by chunk."""
    return any(isinstance(argument, Chunks) for argument in invocation.inputs.values())


def _sources(arguments: Iterable[Argument]) -> Iterator[tuple[Output, bool, bool]]:
    """Outputs of other invocations among arguments, whether in chunks, and whether as part of a list."""
    for argument in arguments:
        yield from _outputs(argument)


def _outputs(argument: Argument | Spread) -> Iterator[tuple[Output, bool, bool]]:
    if isinstance(argument, Output):
        yield argument, False, False
    elif isinstance(argument, Chunks):
        yield from ((source, True, False) for source, _, _ in _outputs(argument.source))
    elif isinstance(argument, (Items, Spread)):
        for item in argument.items:
            yield from ((source, False, True) for source, _, _ in _outputs(item))
