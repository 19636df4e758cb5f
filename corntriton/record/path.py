"""The path: the recorded DAG of component invocations that requests with the same facts take.

    facts ──guards──> Path ──expand(counts)──> flat Path ──replay──> outputs

An invocation of a path may be *mapped* over a list input of the request: it stands for one invocation
per element. `expand` unrolls these for given list lengths. An invocation may be *chunked*: one of its
inputs arrives in chunks, and it runs once per chunk, in order; how many is known only when they come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Input:
    """A request input as it is."""

    name: str


@dataclass(frozen=True)
class Element:
    """An element of a list input of the request; index None is the one the mapped invocation stands for."""

    list: str
    index: int | None = None


@dataclass(frozen=True)
class Output:
    """An output of an invocation; of a mapped one read inside the same map, the same element's."""

    invocation: str
    name: str


@dataclass(frozen=True)
class Const:
    """A value that the flow wrote down: a scalar, or a tuple of scalars."""

    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True)
class Spread:
    """Inside Items: the items once per element of the list `over`, in order."""

    over: str
    items: tuple[Source, ...]


@dataclass(frozen=True)
class Items:
    """A list put together by the flow."""

    items: tuple[Source | Spread, ...]


@dataclass(frozen=True)
class Chunks:
    """A source cut into chunks by a named chunker, such as `sentence`, `tokens:8`, `samples:4800`."""

    source: Source
    by: str


Source = Input | Element | Output | Const
Argument = Source | Items | Chunks


@dataclass(frozen=True)
class Invocation:
    """One call of a component.

    Attributes:
        id: Unique in the path: the component's name, with `.2`, `.3` when it is called again; an
            unrolled mapped invocation adds its index, `vision[0]`.
        component: The component called.
        inputs: Arguments by input name; inputs that are left out do not appear.
        over: The list input that the invocation is mapped over, or None.
    """

    id: str
    component: str
    inputs: Mapping[str, Argument]
    over: str | None = None


@dataclass(frozen=True)
class Guard:
    """A fact that the flow consulted, and its answer.

    Kinds: `present` (bool), `some` (bool: the list has at least one element), `count` (int), `shape`
    (tuple of ints), `wants` (bool), `parameter` (scalar).
    """

    kind: str
    name: str
    value: Scalar | tuple[int, ...]


@dataclass(frozen=True)
class Path:
    """A recorded path, valid for the requests whose facts match its guards.

    Attributes:
        guards: In the order in which the flow consulted them.
        invocations: In an order in which they could run one by one.
        outputs: The arguments that make the response, by output name.
    """

    guards: tuple[Guard, ...]
    invocations: tuple[Invocation, ...]
    outputs: Mapping[str, Argument]
