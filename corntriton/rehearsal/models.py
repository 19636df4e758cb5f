"""Writes the models that stand in for a plan's: its request types and paths in, model.yaml and flow.py out.

The plan alone is enough: a path is rebuilt from invocations and edges, so that ids, and with them the plan's
routes, fit. Every component is a stand-in of ours:

| port           |                                                                                     |
|----------------|-------------------------------------------------------------------------------------|
| `ticket`       | FP64: the request's number, the work of each invocation, the number of its type     |
| `step`         | INT32: the number of the invocation in its path                                     |
| `from_<name>`  | UINT8: what that component made; a list where it was invoked for each element        |
| `turn`         | INT32: an element of a list, of invocations that run once for each                  |
| `out`, `said`  | UINT8: bytes for the other components; one byte for the client                      |

What a client gets is not in a plan, so it gets one byte. `out` is as large as the largest edge that leaves
the invocation, by ref or inline by the rule for all components: fixed and small ones inline.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as File
from typing import Any

import yaml

from corntriton.planner.demand import Demand, Edge, Invocation
from corntriton.planner.plan import Plan
from corntriton.repository.transports import REF_FROM_BYTES

STANDIN = File(__file__).parent / "standin"
KIND = "kind"  # the parameter of a request that names its type
_FOREVER_S = 86_400.0  # targets are judged afterwards: a late answer is late, not lost
_MANY = 1_000_000


@dataclass(frozen=True)
class Models:
    """The models of one plan.

    Attributes:
        plan: The plan.
        slower: Real seconds for each second of the plan; below 1, bytes shrink in proportion, so that this
            machine's memory is as fast, beside everything else, as it is.
    """

    plan: Plan
    slower: float

    @cached_property
    def ticket_length(self) -> int:
        """Of every request's ticket."""
        return 2 + max(len(demand.invocations) for demand in self.plan.demands)

    def ticket(self, number: int, demand: int, works: Sequence[float]) -> list[float]:
        """Of one request."""
        padding = [0.0] * (self.ticket_length - 2 - len(works))
        return [float(number), *works, *padding, float(demand)]

    def write(self, folder: File) -> list[File]:
        """Writes a folder for each model, and gives them."""
        written = []
        for name in sorted({demand.model for demand in self.plan.demands}):
            place = folder / name
            place.mkdir(parents=True)
            shutil.copytree(STANDIN, place / "standin", ignore=shutil.ignore_patterns("__pycache__"))
            (place / "model.yaml").write_text(yaml.safe_dump(self._model(name), sort_keys=False))
            (place / "flow.py").write_text(self._flow(name))
            written.append(place)
        return written

    def _model(self, name: str) -> dict[str, Any]:
        demands = [demand for demand in self.plan.demands if demand.model == name]
        answers = max(len(answering(demand)) for demand in demands)
        lists = {list_of(each) for demand in demands for each in demand.invocations if each.elements > 1}
        locals_ = {_local(each): each.component for demand in demands for each in demand.invocations}
        turns = {each: {"dtype": "INT32", "list": True, "optional": True} for each in sorted(lists)}
        return {
            "model": name,
            "flow": "flow.py:rehearsed",
            "deadline_s": _FOREVER_S,
            "max_in_flight": _MANY,
            "inputs": {"ticket": {"dtype": "FP64", "dims": [self.ticket_length]}, **turns},
            "outputs": {f"said_{i}": {**_BYTES, "optional": True} for i in range(answers)},
            "request_types": {demand.name.partition("/")[2]: _request_type(demand) for demand in demands},
            "components": {local: self._component(full) for local, full in sorted(locals_.items())},
        }

    def _component(self, name: str) -> dict[str, Any]:
        """Equal for equal names, whatever model declares it: shared components are served once."""
        places = [m.max_batch for e in self.plan.executors for m in e.members if m.component == name]
        uses = [*self._uses(name)]
        goes_on, tells = self.is_continuous(name), self._tells(uses)
        inputs: dict[str, Any] = {
            "ticket": {"dtype": "FP64", "dims": [self.ticket_length]},
            "step": {"dtype": "INT32"},
        }
        if any(invocation.elements > 1 for _, _, invocation in uses):
            inputs["turn"] = {"dtype": "INT32", "optional": True}
        lists = self._lists(name)
        for _, demand, invocation in uses:
            for edge in demand.into(invocation.id):
                producer = demand.invocation(edge.producer)
                port = port_of(producer)
                listed = {"list": True} if port in lists else {}
                inputs[port] = {**self._port(producer.component), "optional": True, **listed}
        return {
            "kind": self.plan.components[name].kind,
            "backend": "python",
            "artifact": f"standin:{'Continuous' if goes_on else 'Batched'}",
            "settings": {"component": name, "sizes": self._sizes(uses), "tells": tells},
            "inputs": inputs,
            "outputs": {"out": self._port(name), "said": _BYTES if tells else {"dtype": "UINT8"}},
            "streaming": bool(tells) or (goes_on and self._is_joint(name)),
            "batching": {"max_batch_size": max(places)},
        }

    def _lists(self, component: str) -> set[str]:
        """Inputs of a component that some request type gives a list: then all types do."""
        return {
            port_of(demand.invocation(edge.producer))
            for _, demand, invocation in self._uses(component)
            for edge in demand.into(invocation.id)
            if demand.invocation(edge.producer).elements > 1
        }

    def _is_joint(self, component: str) -> bool:
        """Whether it lives with others somewhere."""
        return any(
            component in executor.components and len(executor.members) > 1 for executor in self.plan.executors
        )

    def is_continuous(self, component: str) -> bool:
        """Whether its requests go in and out one by one: llms, and all that streams."""
        facts = self.plan.components[component]
        return facts.kind == "llm" or facts.streaming

    def _uses(self, component: str) -> Iterator[tuple[str, Demand, Invocation]]:
        for number, demand in enumerate(self.plan.demands):
            for step, invocation in enumerate(demand.invocations):
                if invocation.component == component:
                    yield f"{number}.{step}", demand, invocation

    def _port(self, component: str) -> dict[str, Any]:
        sizes = {*self._sizes([*self._uses(component)]).values()}
        if len(sizes) == 1 and max(sizes) < REF_FROM_BYTES and not self.is_continuous(component):
            return {"dtype": "UINT8", "dims": [max(sizes)]}
        return _BYTES

    def _sizes(self, uses: Sequence[tuple[str, Demand, Invocation]]) -> dict[str, int]:
        """Bytes that one run of each invocation makes."""
        return {key: self._size(demand, invocation) for key, demand, invocation in uses}

    def _size(self, demand: Demand, invocation: Invocation) -> int:
        out = [edge for edge in demand.edges if edge.producer == invocation.id]
        nbytes = max((_copied(edge, demand) for edge in out), default=0.0) * min(1.0, self.slower)
        unit = math.lcm(invocation.chunks, *(_pieces(edge, demand) for edge in out))
        return unit * max(1, round(nbytes / invocation.elements / unit)) // invocation.chunks

    def _tells(self, uses: Sequence[tuple[str, Demand, Invocation]]) -> dict[str, list[float]]:
        """Shares of the way at which a streaming invocation speaks up before its end, as the simulator's."""
        found = {}
        for key, demand, invocation in uses:
            out = [edge for edge in demand.edges if edge.producer == invocation.id]
            pieces = {_pieces(edge, demand) for edge in out if edge.chunked}
            shares = {number / count for count in pieces for number in range(1, count)}
            to_client = (
                invocation.id in demand.answers and self.plan.components[invocation.component].streaming
            )
            first = {0.0} if pieces or to_client else set()
            if shares | first:
                found[key] = sorted(shares | first)
        return found

    def _flow(self, name: str) -> str:
        lines = ["from corntriton import flow", "", "", "@flow", "def rehearsed(request, c):"]
        lines += ['    ticket = request["ticket"]', f"    kind = request.parameter({KIND!r})"]
        for demand in self.plan.demands:
            if demand.model == name:
                lines += [f"    if kind == {demand.name.partition('/')[2]!r}:"]
                lines += [f"        {line}" for line in self._calls(demand)]
        return "\n".join([*lines, "    return {}", ""])

    def _calls(self, demand: Demand) -> Iterator[str]:
        for step, invocation in enumerate(demand.invocations):
            given = ["ticket=ticket", f"step={step}"]
            for edge in demand.into(invocation.id):
                given.append(f"{port_of(demand.invocation(edge.producer))}={self._value(edge, demand)}")
            if invocation.elements == 1:
                yield f"i{step} = c.{_local(invocation)}({', '.join(given)})"
            else:
                call = f"c.{_local(invocation)}({', '.join([*given, 'turn=turn'])})"
                yield f"i{step} = [{call} for turn in request.each({list_of(invocation)!r})]"
        steps = {invocation.id: step for step, invocation in enumerate(demand.invocations)}
        said = (f'"said_{i}": i{steps[name]}.said' for i, name in enumerate(answering(demand)))
        yield f"return {{{', '.join(said)}}}"

    def _value(self, edge: Edge, demand: Demand) -> str:
        step = next(k for k, each in enumerate(demand.invocations) if each.id == edge.producer)
        producer = demand.invocation(edge.producer)
        if producer.elements > 1:
            return f"[each.out for each in i{step}]"
        if port_of(producer) in self._lists(demand.invocation(edge.consumer).component):
            return f"[i{step}.out]"
        if not edge.chunked:
            return f"i{step}.out"
        whole = self._size(demand, producer) * producer.chunks
        return f'i{step}.out.chunks("samples:{whole // _pieces(edge, demand)}")'


_BYTES: dict[str, Any] = {"dtype": "UINT8", "dims": [-1]}


def answering(demand: Demand) -> tuple[str, ...]:
    """Ids of the invocations that answer; the last one where none is known to."""
    single = tuple(name for name in demand.answers if demand.invocation(name).elements == 1)
    return single or (demand.invocations[-1].id,)


def list_of(invocation: Invocation) -> str:
    """The request's list over which an invocation runs."""
    return f"turns_{invocation.id.replace('.', '_')}"


def port_of(producer: Invocation) -> str:
    """The input that takes what an invocation made."""
    return f"from_{producer.id.replace('.', '_')}"


def _request_type(demand: Demand) -> dict[str, Any]:
    lists = {list_of(each): {"count": each.elements} for each in demand.invocations if each.elements > 1}
    return {
        "inputs": {"ticket": {}, **lists},
        "outputs": [f"said_{i}" for i in range(len(answering(demand)))],
        "parameters": {KIND: demand.name.partition("/")[2]},
    }


def _local(invocation: Invocation) -> str:
    """What the flow calls the component: of `llm.2` it is `llm`."""
    return invocation.id.partition(".")[0]


def _pieces(edge: Edge, demand: Demand) -> int:
    return demand.invocation(edge.consumer).chunks if edge.chunked else 1


def _copied(edge: Edge, demand: Demand) -> float:
    """Bytes that the producer makes for an edge: each element of a consumer gets them, but they are one."""
    producer, consumer = demand.invocation(edge.producer), demand.invocation(edge.consumer)
    return edge.nbytes if producer.elements > 1 else edge.nbytes / consumer.elements
