"""What must be served: each request type's path with its rate, its work and its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from corntriton.spec.workload import LatencyTarget, Work


@dataclass(frozen=True)
class Job:
    """What invocations of any path have in common when they cost the same."""

    component: str
    work: float


@dataclass(frozen=True)
class ComponentFacts:
    """What the planner has to know of a component beside its profiles.

    Attributes:
        kind: encoder, llm, generator, vocoder or processor; an llm batches continuously and has a KV cache.
        streaming: Its outputs come in chunks.
    """

    kind: str
    streaming: bool = False


@dataclass(frozen=True)
class Invocation:
    """An invocation of a path, with what it costs.

    Attributes:
        id: As in the recorded path.
        component: `model/component`; of a shared component, under its first model's name.
        work: Of each single run, in the unit of the component's profile.
        elements: How many runs one request makes at once (a mapped invocation), all routed alike.
        chunks: How many runs follow one another on each element (a chunked invocation).
    """

    id: str
    component: str
    work: Work
    elements: int = 1
    chunks: int = 1

    @property
    def runs(self) -> int:
        """Runs of the component that one request makes here."""
        return self.elements * self.chunks

    @property
    def job(self) -> Job:
        """What one run costs, as a key."""
        return Job(self.component, self.work.mean)


@dataclass(frozen=True)
class Edge:
    """Tensors that pass from one invocation to another.

    Attributes:
        producer: Id of the invocation that makes them.
        consumer: Id of the invocation that takes them.
        nbytes: Per request, all elements and chunks together.
        chunked: The consumer starts with the first chunk, not with the end of the producer.
    """

    producer: str
    consumer: str
    nbytes: float
    chunked: bool = False


@dataclass(frozen=True)
class Demand:
    """One request type, as the planner sees it.

    Attributes:
        name: `model/type`.
        rate_hz: Requests per second.
        invocations: In an order in which they could run one by one.
        edges: At most one for each pair of invocations.
        answers: Ids of the invocations whose outputs are sent to the client.
        targets: What the type was promised.
    """

    name: str
    rate_hz: float
    invocations: tuple[Invocation, ...]
    edges: tuple[Edge, ...]
    answers: tuple[str, ...] = ()
    targets: tuple[LatencyTarget, ...] = ()

    @property
    def model(self) -> str:
        """The model it is a request of."""
        return self.name.partition("/")[0]

    @cached_property
    def by_id(self) -> dict[str, Invocation]:
        """The invocations by id."""
        return {invocation.id: invocation for invocation in self.invocations}

    def invocation(self, invocation_id: str) -> Invocation:
        """The invocation of that id; KeyError if there is none."""
        return self.by_id[invocation_id]

    def into(self, invocation_id: str) -> list[Edge]:
        """The edges that end at an invocation."""
        return [edge for edge in self.edges if edge.consumer == invocation_id]
