"""What a model's orchestrator may call: units and routes in, the settings with a target for each out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from corntriton.repository import component_model, executor_model, orchestrator_model
from corntriton.repository.routing import Routing
from corntriton.repository.units import Unit
from corntriton.runtime.settings import OrchestratorSettings, Target
from corntriton.spec.load import LoadedModel


def settings_of(
    model: LoadedModel,
    serving_names: Mapping[tuple[str, str], str],
    units: Sequence[Unit],
    routing: Routing | None,
) -> OrchestratorSettings:
    """The settings of a model's orchestrator, before its paths are compiled.

    Args:
        model: The model.
        serving_names: The serving name of each (model, component).
        units: What serves the components here.
        routing: Where requests go; None without a plan.
    """
    names = {component: serving_names[model.name, component] for component in sorted(model.components)}
    if routing is None:
        return orchestrator_model.settings(model, _by_component(model, names, units))
    routes, usual = routing.routes(model), routing.usual(names)
    used = {name for ways in routes.values() for way in ways for name in way.stops.values()} | {
        *usual.values()
    }
    elsewhere = _elsewhere(model, names, routing)
    targets = _by_unit(model, names, units) | {name: elsewhere[name] for name in sorted(used & {*elsewhere})}
    role = routing.role.name if len(routing.roles) > 1 else ""
    return replace(orchestrator_model.settings(model, targets, routes, usual), role=role)


def _by_component(model: LoadedModel, names: Mapping[str, str], units: Sequence[Unit]) -> dict[str, Target]:
    """Without a plan, each component is a target, if it is served."""
    served = {unit.name: unit.members[unit.name] for unit in units}
    specs = model.spec.components
    return {
        name: component_model.target(served[names[name]], specs[name].in_flight_limit, specs[name].idempotent)
        for name in names
        if names[name] in served
    }


def _by_unit(model: LoadedModel, names: Mapping[str, str], units: Sequence[Unit]) -> dict[str, Target]:
    """With a plan, each Triton model is."""
    targets = {}
    for unit in units:
        here = {name: serving for name, serving in names.items() if serving in unit.members}
        if here and unit.joint:
            targets[unit.name] = executor_model.target(unit, here)
        for name, serving in here.items() if not unit.joint else ():
            served, declared = unit.members[serving], model.spec.components[name]
            limit = declared.max_in_flight or served.component.spec.in_flight_limit
            target = component_model.target(served, limit, declared.idempotent)
            targets[unit.name] = replace(target, component=name)
    return targets


def _elsewhere(model: LoadedModel, names: Mapping[str, str], routing: Routing) -> dict[str, Target]:
    """What servers of other roles have; they give refs to the memory of hosts, not to that of GPUs.

    Each server of a role takes as much as one here would.
    """
    found = {}
    for role in routing.roles:
        if role.name == routing.role.name:
            continue
        for name, target in _by_unit(model, names, role.units).items():
            found[routing.target(role, name)] = replace(
                target,
                server=role.name,
                max_in_flight=target.max_in_flight * len(role.nodes),
                dref_inputs=(),
                dref_outputs=(),
            )
    return found
