"""What a user should know of a build: units, models and a plan in, sentences for the manifest out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from corntriton.planner.plan import Plan
from corntriton.record.path import Output, Path
from corntriton.repository.compiling import CompiledType
from corntriton.repository.routing import Routing
from corntriton.repository.units import Unit, serving_name
from corntriton.repository.ways import uses_of
from corntriton.spec.load import LoadedModel


def notes_without_plan() -> Iterator[str]:
    """Of a build without a plan."""
    yield "no plan was given: each component has the instances that its model.yaml asks for"


def notes_of_units(units: Sequence[Unit], models: Sequence[LoadedModel]) -> Iterator[str]:
    """Of any build."""
    for unit in units:
        if any(served.hosting.gpu_withheld for served in unit.members.values()):
            yield f"{unit.name}: gpu asked for, mapped to KIND_CPU because --backends embedded"
    for model in models:
        for name in model.unused:
            yield f"{model.name}: no request type visits the component {name}; it is served all the same"


def notes_of_plan(
    node: str, routing: Routing, units: Sequence[Unit], models: Sequence[LoadedModel]
) -> Iterator[str]:
    """Of a plan's share that one node has."""
    plan = routing.plan
    yield f"this is the plan's node {node}: {', '.join(routing.types_here()) or 'no request type'}"
    yield from _of_servers(routing)
    for model in models if any(unit.kind == "KIND_GPU" for unit in units) else ():
        yield from _of_devices(routing, model)
    planned_types = {demand.name for demand in plan.demands}
    for name in (f"{model.name}/{each}" for model in models for each in model.paths):
        if name not in planned_types:
            yield f"{name} is not in the plan: it goes where each component has most of its traffic"
    for unit in units:
        yield from _of_unit(plan, unit)


def notes_of_types(types: Iterable[CompiledType]) -> Iterator[str]:
    """Of request types that are no ensembles."""
    for each in types:
        name = f"{each.model}/{each.request_type}"
        reasons = {way.not_compiled.text for way in each.routes if way.not_compiled}
        for reason in sorted(reasons):
            yield f"{name} is replayed step by step: {reason}"
        if each.not_public and each.not_public.text not in reasons:
            yield f"{name} is no ensemble for clients: {each.not_public.text}"


def _of_servers(routing: Routing) -> Iterator[str]:
    if not routing.others:
        return
    names = ", ".join(role.name for role in routing.roles)
    yield f"its servers are of role {routing.role.name}; CORNTRITON_SERVERS has to name those of {names}"
    for demand in routing.plan.demands:
        roles = routing.crossed(demand.name)
        if roles:
            yield f"{demand.name} leads over servers of {' and '.join(roles)}"


def _of_devices(routing: Routing, model: LoadedModel) -> Iterator[str]:
    """Memory of GPUs is not read from other servers."""
    for name, routes in routing.routes(model).items():
        wanted = [
            (producer, f"{producer}.{output} -> {consumer}.{port}", consumer)
            for producer, output, consumer, port in _on_devices(model, model.paths[name])
        ]
        for producer, edge, consumer in wanted:
            if any(
                routing.is_elsewhere(route.stops[end]) for route in routes for end in (producer, consumer)
            ):
                yield f"{model.name}/{name}: {edge} passes by the host on routes over several servers"


def _on_devices(model: LoadedModel, path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Producer, output, consumer and input of each tensor that is declared to stay on a GPU."""
    called = {invocation.id: model.components[invocation.component] for invocation in path.invocations}
    for consumer in path.invocations:
        for port, argument in consumer.inputs.items():
            for source in (use.source for use in uses_of(argument) if isinstance(use.source, Output)):
                declared = source.name in called[source.invocation].device_outputs
                if declared and port in called[consumer.id].device_inputs:
                    yield source.invocation, source.name, consumer.id, port


def _of_unit(plan: Plan, unit: Unit) -> Iterator[str]:
    if unit.executor is None:
        yield f"{unit.name} is not in the plan: it has the instances that its model.yaml asks for"
        return
    members = plan.executor(unit.executor).members
    for member in members if unit.visible else ():
        copies = len(unit.visible) // member.tensor_parallel
        if copies > 1 and serving_name(member.component) in unit.members:
            what = f"the plan counts on {copies} copies of {member.component}, the process has one"
            yield f"{unit.name}: {what}"
    for served in unit.members.values() if unit.joint else ():
        spec = served.component.spec
        ignored = [name for name, given in [("config", spec.config)] if given]
        ignored += ["batching.max_queue_delay_us"] if spec.batching.max_queue_delay_us else []
        ignored += ["batching.preferred"] if spec.batching.preferred else []
        for name in ignored:
            yield f"{unit.name}: {name} of {served.component.name} is not for executors of several components"
