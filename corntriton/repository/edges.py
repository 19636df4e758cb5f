"""How each tensor of a path passes: a path on one of its routes in, one edge for each use of a value out.

| transport                        | what happens                                                     |
|----------------------------------|------------------------------------------------------------------|
| ref                              | the producer writes to shared memory once, the consumer reads it |
| device ref                       | the same, in the memory of the producer's GPU                    |
| ref, written by the orchestrator | it comes inline; the orchestrator puts it into shared memory;    |
|                                  | a consumer on another server has it pulled from there            |
| ref, read by the orchestrator    | it comes by ref; the orchestrator, which may have to pull it,    |
|                                  | passes it on inline                                              |
| pulled from another server       | a ref; the server of the consumer pulls the tensor over, once    |
| inline                           | Triton copies it, gRPC where its ends are on different servers   |
| inside the executor              | it stays in the process of both                                  |

An edge has the rule that decided so: of a ref, why it is not inline; else, why an end of it is not by ref.

| rule             |                                                                       |
|------------------|-----------------------------------------------------------------------|
| memory: device   | the ports are declared so                                             |
| large            | fixed dims, REF_FROM_BYTES or more                                    |
| varies           | nobody knows how large it is                                          |
| small            | fixed dims, less than that                                            |
| one text         | BYTES of dims [1]                                                     |
| chunks           | a component streams, or takes the value chunk by chunk                |
| native or cached | neither Triton's own backends nor its cache of answers know refs      |
| executor         | values enter and leave an executor of several components in a message |
| client           | requests and responses are inline                                     |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from corntriton.record.codec import path_from_json
from corntriton.record.expansion import expand, lists_of
from corntriton.record.path import Element, Input, Invocation, Output
from corntriton.record.signature import Port
from corntriton.repository.transports import REF_FROM_BYTES, least_bytes
from corntriton.repository.ways import Use, Way, uses_of
from corntriton.runtime.fusion import fuse

Transport = Literal[
    "ref",
    "device ref",
    "ref, written by the orchestrator",
    "ref, read by the orchestrator",
    "pulled from another server",
    "inline",
    "inside the executor",
]
_PULLED: Transport = "pulled from another server"
_DECLARED = "memory: device"
_WRITTEN: Transport = "ref, written by the orchestrator"
_READ: Transport = "ref, read by the orchestrator"
_INSIDE: Transport = "inside the executor"


@dataclass(frozen=True)
class Edge:
    """One use of a value.

    Attributes:
        producer: `request.<input>` or `<invocation>.<output>`.
        consumer: `<invocation>.<input>` or `response.<output>`.
        transport: How it passes.
        rule: Why, by name.
        nbytes: Of one tensor; None where nothing tells.
        each_of: The list input for each element of which there is one such tensor; None for one in all.
    """

    producer: str
    consumer: str
    transport: Transport
    rule: str
    nbytes: int | None = None
    each_of: str | None = None


@dataclass(frozen=True)
class Sizes:
    """What is known of sizes beside the ports.

    Attributes:
        shapes: Of request inputs, where the request type states them.
        profiled: Bytes of an invocation's output in a plan's profiles.
    """

    shapes: Mapping[str, tuple[int, ...] | None]
    profiled: Callable[[str, str], float | None] = lambda invocation, output: None


def edges_of(way: Way, compiled: bool, sizes: Sizes) -> tuple[Edge, ...]:
    """Every use of a value that is no constant; none where a component is not on this server.

    Args:
        way: The path on its route.
        compiled: It is one ensemble, in which no orchestrator stands between the components.
        sizes: What is known of sizes.
    """
    if any(invocation.id not in way.stops for invocation in way.path.invocations):
        return ()
    return tuple(_Edges(way, compiled, sizes).all())


class _Edges:
    def __init__(self, way: Way, compiled: bool, sizes: Sizes) -> None:
        self._way = way
        self._compiled = compiled
        self._sizes = sizes
        self._calls = _calls(way)

    def all(self) -> Iterator[Edge]:
        for invocation in self._way.path.invocations:
            for name, argument in invocation.inputs.items():
                for use in uses_of(argument, invocation.over):
                    yield self._edge(use, f"{invocation.id}.{name}", (invocation, name))
        for name, argument in self._way.path.outputs.items():
            for use in uses_of(argument):
                yield self._edge(use, f"response.{name}", None)

    def _edge(self, use: Use, consumer: str, end: tuple[Invocation, str] | None) -> Edge:
        port = self._way.source_port(use.source)
        other = self._way.input_port(*end) if end else None
        transport, rule = self._choose(use, port, end)
        nbytes = self._nbytes(use, port, other)
        return Edge(_shown(use.source), consumer, transport, rule, nbytes, use.over)

    def _choose(self, use: Use, port: Port, end: tuple[Invocation, str] | None) -> tuple[Transport, str]:
        if end and isinstance(use.source, Output):
            if self._is_inside(use.source.invocation, end[0].id):
                return _INSIDE, "executor"
            if not use.chunked and self._way.passes_on_device(use.source, *end):
                return "device ref", _DECLARED
        gives, takes = self._why_not_given(use, port), self._why_not_taken(end)
        between = not self._compiled  # an orchestrator stands there
        if not gives and not takes:
            return (self._by_ref(use, end), _why_by_ref(port)) if not use.chunked else (_READ, "chunks")
        if not gives and (between or end is None):
            return _READ, takes
        if not takes and (between or not isinstance(use.source, Output)):
            return _WRITTEN, gives
        return "inline", gives or takes

    def _by_ref(self, use: Use, end: tuple[Invocation, str] | None) -> Transport:
        if end is None or not isinstance(use.source, Output):
            return "ref"
        return _PULLED if self._way.is_pulled(use.source, end[0]) else "ref"

    def _why_not_given(self, use: Use, port: Port) -> str:
        """Why the producer does not give a ref; empty if it does."""
        if not isinstance(use.source, Output):
            return "client"
        target = self._way.target(use.source.invocation)
        if self._way.gives_by_ref(use.source):
            return ""
        [component] = [i.component for i in self._way.path.invocations if i.id == use.source.invocation]
        if target.members:
            return "executor"
        return "chunks" if self._way.model.components[component].streaming else _why_inline(port)

    def _why_not_taken(self, end: tuple[Invocation, str] | None) -> str:
        """Why the consumer does not take a ref; empty if it does."""
        if end is None:
            return "client"
        if self._way.takes_by_ref(*end):
            return ""
        return "executor" if self._way.target(end[0].id).members else _why_inline(self._way.input_port(*end))

    def _is_inside(self, producer: str, consumer: str) -> bool:
        return self._calls[producer] == self._calls[consumer]

    def _nbytes(self, use: Use, port: Port, other: Port | None) -> int | None:
        """What dims fix, else what the request type states, else what profiles tell."""
        if use.chunked:
            return None
        fixed = least_bytes(port)
        if fixed is None and other is not None and not use.listed:
            fixed = least_bytes(other)
        if fixed is not None:
            return fixed
        if isinstance(use.source, Output):
            profiled = self._sizes.profiled(use.source.invocation, use.source.name)
            return None if profiled is None else round(profiled)
        shape = self._sizes.shapes.get(use.source.name) if isinstance(use.source, Input) else None
        return None if shape is None else least_bytes(Port(port.dtype, shape))


def _calls(way: Way) -> dict[str, str]:
    """The call that each invocation is in; lists stand there with one element."""
    flat = expand(way.path, dict.fromkeys(lists_of(way.path), 1))
    stops = {each.id: way.stops[each.id.partition("[")[0]] for each in flat.invocations}
    fused = fuse(flat, way.model, stops, way.targets)
    calls = {}
    for call in fused.path.invocations:
        group = fused.groups.get(call.id)
        members = path_from_json(json.loads(bytes(group.path))).invocations if group else (call,)
        calls.update({member.id.partition("[")[0]: call.id for member in members})
    return calls


def _why_by_ref(port: Port) -> str:
    nbytes = least_bytes(port)
    if nbytes is None:
        return "varies"
    return "large" if nbytes >= REF_FROM_BYTES else _DECLARED


def _why_inline(port: Port) -> str:
    if port.dtype == "BYTES" and not port.list and port.dims == (1,):
        return "one text"
    nbytes = least_bytes(port)
    return "small" if nbytes is not None and nbytes < REF_FROM_BYTES else "native or cached"


def _shown(source: Input | Element | Output) -> str:
    if isinstance(source, Output):
        return f"{source.invocation}.{source.name}"
    return f"request.{source.name if isinstance(source, Input) else source.list}"
