"""Why a path cannot be one ensemble: a path on one of its routes in, the first reason out, or none.

An ensemble is a fixed DAG of unary models whose tensors pass unchanged. What was tried on 24.10 and is no
obstacle: inputs that a step leaves out; tensors with several readers; a model in several steps; models with
and without a batch dimension (Triton adds or takes away a dimension of one between them); an optional output
that does not come (a step that may have it runs without it, the ensemble answers without it); lists without
elements. A step whose outputs a request does not ask for is not run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from corntriton.record.expansion import lists_of
from corntriton.record.path import Argument, Chunks, Const, Element, Input, Items, Output
from corntriton.repository.hosting import Backends
from corntriton.repository.ways import Way, uses_of


@dataclass(frozen=True)
class Reason:
    """Why something is not.

    Attributes:
        rule: A name for it.
        text: A clause for people.
    """

    rule: str
    text: str


def obstacle(way: Way) -> Reason | None:
    """Why the path is no ensemble of any sort on this route."""
    return next((reason for rule in _RULES for reason in rule(way)), None)


def private_obstacle(way: Way, backends: Backends) -> Reason | None:
    """Why it is none that the orchestrator calls."""
    leaks = _is_parallel(way) if backends == "embedded" else iter(())
    return obstacle(way) or next(_spills(way), None) or next(leaks, None)


def public_obstacle(way: Way) -> Reason | None:
    """Why it is none that clients call."""
    return obstacle(way) or next((reason for rule in _PUBLIC_RULES for reason in rule(way)), None)


def _is_absent(way: Way) -> Iterator[Reason]:
    for invocation in way.path.invocations:
        if invocation.id not in way.stops:
            yield Reason("absent", f"{invocation.component} is not on this server")


def _is_elsewhere(way: Way) -> Iterator[Reason]:
    for invocation in way.path.invocations:
        if role := way.target(invocation.id).server:
            yield Reason("elsewhere", f"{invocation.component} is on another server, {role}")


def _streams(way: Way) -> Iterator[Reason]:
    for invocation in way.path.invocations:
        if way.model.components[invocation.component].streaming:
            yield Reason("streams", f"{invocation.component} streams")


def _keeps_state(way: Way) -> Iterator[Reason]:
    for invocation in way.path.invocations:
        if way.target(invocation.id).stateful:
            yield Reason("state", f"{invocation.component} keeps state between calls")


def _takes_chunks(way: Way) -> Iterator[Reason]:
    for invocation in way.path.invocations:
        for name, argument in invocation.inputs.items():
            if isinstance(argument, Chunks):
                yield Reason("chunks", f"{invocation.id} runs once per chunk of {name}")


def _is_mapped(way: Way) -> Iterator[Reason]:
    for name in lists_of(way.path):
        yield Reason("map", f"its steps depend on how many {name} a request brings")


def _is_in_an_executor(way: Way) -> Iterator[Reason]:
    for invocation in way.path.invocations:
        if way.target(invocation.id).members:
            unit = way.target(invocation.id).model_name
            yield Reason("executor", f"{unit} runs parts of paths in one call and answers piece by piece")


def _is_one_call(way: Way) -> Iterator[Reason]:
    if len(way.path.invocations) < 2:
        visited = ", ".join(invocation.component for invocation in way.path.invocations)
        yield Reason("one call", f"it is one call already: {visited}" if visited else "it calls no component")


def _joins_outputs(way: Way) -> Iterator[Reason]:
    for invocation in way.path.invocations:
        for name, argument in invocation.inputs.items():
            if isinstance(argument, Items) and any(_outputs(argument)):
                what = f"{invocation.id}.{name} is a list of outputs, and an ensemble cannot join tensors"
                yield Reason("list of outputs", what)


def _wastes_a_step(way: Way) -> Iterator[Reason]:
    """Triton refuses a step without inputs or without an output that is read."""
    arguments = [*way.path.outputs.values()]
    arguments += [argument for each in way.path.invocations for argument in each.inputs.values()]
    read = {output.invocation for argument in arguments for output in _outputs(argument)}
    for invocation in way.path.invocations:
        if invocation.id not in read:
            yield Reason("unused", f"nobody reads an output of {invocation.id}")
        if not invocation.inputs:
            yield Reason("no inputs", f"{invocation.id} is given no input")


def _sizes_differ(way: Way) -> Iterator[Reason]:
    """Triton refuses a tensor whose readers declare different sizes."""
    declared: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for invocation in way.path.invocations:
        for name, argument in invocation.inputs.items():
            for use in uses_of(argument):
                if not use.listed:
                    declared[_shown(use.source)].append(way.source_port(use.source).dims)
                    declared[_shown(use.source)].append(way.input_port(invocation, name).dims)
    for source, dims in declared.items():
        if any(len({size for size in sizes if size > 0}) > 1 for sizes in zip(*dims, strict=True)):
            yield Reason("sizes", f"{source} is read by inputs of different dims")


def _spills(way: Way) -> Iterator[Reason]:
    if any(way.target(each.id).spills for each in way.path.invocations):
        yield Reason("spills", "arena.too_large is inline, and an ensemble's edges cannot change")


def _is_parallel(way: Way) -> Iterator[Reason]:
    """WAR (24.10): when one branch of an ensemble fails while another runs, its request is never let go.

    Core's PrepareSteps does not count the steps that are under way then; the orchestrator runs branches at
    once by itself. Fixed by https://github.com/triton-inference-server/core/pull/466, in all releases that
    `deploy` takes. Goes with the embedded server.
    """
    before: dict[str, set[str]] = {}
    for invocation in way.path.invocations:
        needed = {output.invocation for each in invocation.inputs.values() for output in _outputs(each)}
        before[invocation.id] = needed.union(*(before[name] for name in needed))
        beside = before.keys() - before[invocation.id] - {invocation.id}
        if beside:
            what = f"{invocation.id} and {min(beside)} run at once, and an ensemble of this server whose step"
            yield Reason("parallel", f"{what} fails meanwhile is never released")


def _supplies_values(way: Way) -> Iterator[Reason]:
    for invocation in way.path.invocations:
        for name, argument in invocation.inputs.items():
            place = f"{invocation.id}.{name}"
            if isinstance(argument, Const):
                yield Reason("constant", f"{place} is a constant of the flow, {argument.value!r}")
            if isinstance(argument, Items):
                yield Reason("list", f"{place} is a list that the flow puts together")
            if isinstance(argument, Element):
                yield Reason("element", f"{place} is one element of {argument.list}")


def _answers_with_other_than_outputs(way: Way) -> Iterator[Reason]:
    seen: dict[Argument, str] = {}
    for name, argument in way.path.outputs.items():
        if not isinstance(argument, Output):
            yield Reason("answer", f"{name} is not an output of a component")
        elif argument in seen:
            yield Reason("answer", f"{name} and {seen[argument]} are one tensor, which has one name")
        else:
            seen[argument] = name


def _names_clash(way: Way) -> Iterator[Reason]:
    """The tensors of an ensemble share their names."""
    arguments = [argument for each in way.path.invocations for argument in each.inputs.values()]
    taken = {argument.name for argument in arguments if isinstance(argument, Input)}
    for name in sorted(taken & set(way.path.outputs)):
        yield Reason("name", f"{name} is the name of an input and of an output")


def _outputs(argument: Argument) -> Iterator[Output]:
    return (use.source for use in uses_of(argument) if isinstance(use.source, Output))


def _shown(source: Input | Element | Output) -> str:
    return (
        f"{source.invocation}.{source.name}"
        if isinstance(source, Output)
        else (source.name if isinstance(source, Input) else source.list)
    )


_RULES = (
    _is_absent,
    _is_elsewhere,
    _streams,
    _keeps_state,
    _takes_chunks,
    _is_mapped,
    _is_in_an_executor,
    _is_one_call,
    _joins_outputs,
    _wastes_a_step,
    _sizes_differ,
)
_PUBLIC_RULES = (_supplies_values, _answers_with_other_than_outputs, _names_clash)
