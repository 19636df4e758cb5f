"""Compiles paths: a path on one of its routes in, a Triton ensemble out that runs it in one call.

    private  `<model>__<request type>__path`    edges by ref where both ends can; the orchestrator calls it in
                                                place of the path's components, and owns the refs
    public   `<model>.<request type>`           all edges inline, the model's own names; for any client

An edge of which one end is inline is inline: nobody stands between the steps who could read a ref. A tensor
with readers of both sorts leaves its step twice, as `X` and as `X__ref`; Triton asks for what is mapped.
Between GPUs a ref leaves its step as `X__dref`, and enters the next one as any ref does, as `X__ref`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from corntriton.record.path import (
    Argument,
    Chunks,
    Element,
    Guard,
    Input,
    Invocation,
    Items,
    Output,
    Path,
    Source,
    Spread,
)
from corntriton.record.signature import Port, Signature
from corntriton.repository.tensors import Tensor, tensors_of, with_refs
from corntriton.repository.ways import Way
from corntriton.runtime.settings import DREF, REF, CompiledRoute, Target

TEMPLATE = "ensemble.config.pbtxt.j2"


@dataclass(frozen=True)
class Step:
    """A step of an ensemble: the model, and the ensemble's tensors by the model's names."""

    model: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    comment: str = ""


@dataclass(frozen=True)
class Ensemble:
    """A compiled path.

    Attributes:
        name: The Triton model's.
        way: What it runs.
        signature: Its ports.
        by_ref: The names of those that are refs; the tensor has `__ref` behind.
        steps: In the path's order.
        call: How the orchestrator calls it; None for a public one.
    """

    name: str
    way: Way
    signature: Signature
    by_ref: frozenset[str]
    steps: Sequence[Step]
    call: Path | None

    @property
    def public(self) -> bool:
        """Clients call it; else only the orchestrator."""
        return self.call is None

    def route(self) -> CompiledRoute:
        """What the orchestrator knows of it."""
        assert self.call is not None  # the orchestrator does not know of public ones
        return CompiledRoute(self.name, self.signature, self.call)

    def _rows(self) -> int:
        """How many requests one call may carry."""
        return max(1, _max_batch_size([self.way.target(each).max_rows for each in self.way.stops]))

    def target(self) -> Target:
        """How the orchestrator calls it; within the limits of all its components, which it calls in turn."""
        called = [self.way.targets[name] for name in dict.fromkeys(self.way.stops.values())]
        rows = self._rows()
        return Target(
            self.name,
            batched=True,
            max_in_flight=_calls_at_once(called, rows),
            idempotent=all(target.idempotent for target in called),
            ref_inputs=tuple(name for name in self.signature.inputs if name in self.by_ref),
            ref_outputs=tuple(name for name in self.signature.outputs if name in self.by_ref),
            ensemble=True,
            max_rows=rows,
        )


def private_ensemble(name: str, way: Way) -> Ensemble:
    """The ensemble over refs that stands for a path which has no `private_obstacle`."""
    wiring = _Wiring(way, refs=True, names={})
    outputs: dict[str, Argument] = {
        key: wiring.answer(name, argument) for key, argument in way.path.outputs.items()
    }
    call = Path((), (Invocation(name, name, wiring.arguments),), outputs)
    return wiring.ensemble(name, call)


def public_ensemble(name: str, way: Way) -> Ensemble:
    """The ensemble for clients of a path which has no `public_obstacle`."""
    wiring = _Wiring(way, refs=False, names=_names_of_the_model(way))
    for output in way.path.outputs.values():
        wiring.answer(name, output)
    return wiring.ensemble(name, None)


def config_values(ensemble: Ensemble, sizes: Sequence[int], edges: Sequence[Any]) -> dict[str, Any]:
    """What the template of an ensemble's config is rendered with.

    Args:
        ensemble: The ensemble.
        sizes: The max_batch_size of each of its steps.
        edges: What passes, for comments.
    """
    guards = ensemble.way.path.guards if ensemble.public else ()
    signature, by_ref = ensemble.signature, ensemble.by_ref
    inputs = [_tensor(name, port, name in by_ref, True) for name, port in signature.inputs.items()]
    return {
        "name": ensemble.name,
        "model": ensemble.way.model.name,
        "public": ensemble.public,
        "inputs": [_as_guarded(tensor, guards) for tensor in inputs],
        "outputs": [_tensor(name, port, name in by_ref) for name, port in signature.outputs.items()],
        "max_batch_size": _max_batch_size(sizes) if ensemble.public else max(1, _max_batch_size(sizes)),
        "mixed": 0 in sizes and any(sizes),
        "steps": ensemble.steps,
        "edges": edges,
    }


def _calls_at_once(called: Sequence[Target], rows: int) -> int:
    """So many that the components have their next batches in time, of calls that are full.

    By default a component is given two batches for each instance. Calls that carry several requests are
    full only where some have to wait for them: hence one for each instance.
    """
    limits = sum(target.max_in_flight for target in called)
    return limits if rows == 1 else max(2, limits // (2 * rows))


def _max_batch_size(sizes: Sequence[int]) -> int:
    """Triton refuses more than a member takes, and converts between members with and without for one only."""
    return min(sizes) if all(sizes) else min(1, max(sizes))


def _tensor(name: str, port: Port, by_ref: bool, is_input: bool = False) -> Tensor:
    """The one of the port's tensors that is used."""
    tensors = with_refs(tensors_of({name: port}, is_input), {name: port}, (name,) if by_ref else (), is_input)
    return replace(tensors[-1], optional=False)


def _as_guarded(tensor: Tensor, guards: Sequence[Guard]) -> Tensor:
    """Triton refuses requests of other sizes than those that the flow saw when it chose this path."""
    dims = tensor.dims
    for guard in guards:
        if guard.name != tensor.name or not guard.value:
            continue
        if guard.kind == "shape" and isinstance(guard.value, tuple) and all(guard.value):
            dims = guard.value
        elif guard.kind == "count" and isinstance(guard.value, int):
            dims = (guard.value, *dims[1:])
    return replace(tensor, dims=dims)


def _names_of_the_model(way: Way) -> dict[_Key, str]:
    """By what a tensor holds, the name that clients know."""
    arguments = [argument for each in way.path.invocations for argument in each.inputs.values()]
    taken = [argument for argument in arguments if isinstance(argument, Input)]
    names: dict[_Key, str] = {_key(source, way.source_port(source), False): source.name for source in taken}
    return {**names, **{_key(output): name for name, output in way.path.outputs.items()}}


_Key = tuple[str, "Port | None", bool]


def _key(argument: Argument, port: Port | None = None, by_ref: bool = False) -> _Key:
    """Equal for what is one tensor; as text, since 1, 1.0 and True are equal in Python, and no one tensor."""
    return repr(argument), port, by_ref


class _Wiring:
    """An ensemble while it is made: tensors get their names when they are first needed."""

    def __init__(self, way: Way, refs: bool, names: Mapping[_Key, str]) -> None:
        self.arguments: dict[str, Argument] = {}
        self._way = way
        self._refs = refs
        self._names = dict(names)
        self._by_ref: set[str] = set()
        self._inputs: dict[str, Port] = {}
        self._outputs: dict[str, Port] = {}
        ids = [invocation.id for invocation in way.path.invocations]
        self._step_inputs: dict[str, dict[str, str]] = {name: {} for name in ids}
        self._step_outputs: dict[str, dict[str, str]] = {name: {} for name in ids}
        for invocation in way.path.invocations:
            for name, argument in invocation.inputs.items():
                self._connect(invocation, name, argument)

    def answer(self, name: str, argument: Argument) -> Argument:
        """A model output, as that of the ensemble of this name."""
        if isinstance(argument, Items):
            return Items(tuple(self._answer(name, _flat(item)) for item in argument.items))
        assert not isinstance(argument, Chunks)  # only an input takes chunks
        return self._answer(name, argument)

    def _answer(self, name: str, source: Source) -> Source:
        if not isinstance(source, Output):
            return source
        by_ref = self._refs and self._way.gives_by_ref(source)
        self._emit(source, REF * by_ref)
        stem = self._stem(source)
        self._outputs[stem] = self._way.source_port(source)
        self._by_ref |= {stem} if by_ref else set()
        return Output(name, stem)

    def ensemble(self, name: str, call: Path | None) -> Ensemble:
        """What has been made."""
        steps = [
            Step(
                self._way.target(invocation.id).model_name,
                self._step_inputs[invocation.id],
                self._step_outputs[invocation.id],
                invocation.id,
            )
            for invocation in self._way.path.invocations
        ]
        signature = Signature(self._inputs, self._outputs)
        return Ensemble(name, self._way, signature, frozenset(self._by_ref), steps, call)

    def _connect(self, invocation: Invocation, name: str, argument: Argument) -> None:
        by_ref = self._refs and self._way.takes_by_ref(invocation, name)
        if isinstance(argument, Output):
            by_ref = by_ref and self._way.gives_by_ref(argument)
            on_device = by_ref and self._way.passes_on_device(argument, invocation, name)
            tensor = self._emit(argument, DREF if on_device else REF * by_ref)
        else:
            tensor = self._bring(invocation, name, argument, by_ref)
        theirs = self._way.target(invocation.id).input_names.get(name, name)
        self._step_inputs[invocation.id][theirs + REF * by_ref] = tensor

    def _emit(self, output: Output, suffix: str) -> str:
        """The tensor of an output: itself, or of its refs."""
        theirs = self._way.target(output.invocation).output_names.get(output.name, output.name)
        tensor = self._stem(output) + suffix
        self._step_outputs[output.invocation][theirs + suffix] = tensor
        return tensor

    def _bring(self, invocation: Invocation, name: str, argument: Argument, by_ref: bool) -> str:
        """The tensor of what the caller supplies."""
        if isinstance(argument, (Input, Element)):
            port = self._way.source_port(argument)
            wanted = argument.name if isinstance(argument, Input) else f"{argument.list}[{argument.index}]"
        else:
            port = replace(self._way.input_port(invocation, name), optional=False)
            wanted = f"{invocation.id}({name})"
        stem = self._name(_key(argument, port, by_ref), wanted)
        self.arguments[stem], self._inputs[stem] = argument, port
        self._by_ref |= {stem} if by_ref else set()
        return stem + REF * by_ref

    def _stem(self, output: Output) -> str:
        return self._name(_key(output), f"{output.invocation}.{output.name}")

    def _name(self, key: _Key, wanted: str) -> str:
        if key not in self._names:
            name, number, taken = wanted, 1, set(self._names.values())
            while name in taken:
                number += 1
                name = f"{wanted}.{number}"
            self._names[key] = name
        return self._names[key]


def _flat(item: Source | Spread) -> Source:
    assert not isinstance(item, Spread)  # a path that is mapped over a list is not compiled
    return item
