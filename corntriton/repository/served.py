"""Which Triton models there will be: components shared by equal ones, names without collisions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from corntriton.errors import Problems
from corntriton.record.path import Chunks
from corntriton.repository.hosting import Backends, Hosting, choose_hosting
from corntriton.runtime.transfer.settings import MODEL
from corntriton.spec.components import Component
from corntriton.spec.files import Document, Spot, read_yaml
from corntriton.spec.load import LoadedModel, serving_names
from corntriton.spec.names import orchestrator_models


@dataclass(frozen=True)
class Served:
    """A component that a Triton model serves.

    Attributes:
        name: The Triton model's.
        component: As the model that gives the name declares it.
        hosting: How it is served.
        users: The models that call it, the one that gives the name first.
        callers: `<model>.<component>`, as each of them calls it.
        idempotent: All of them declare that it is.
        spot: The component's place in the model.yaml of that model.
    """

    name: str
    component: Component
    hosting: Hosting
    users: tuple[LoadedModel, ...]
    callers: tuple[str, ...]
    idempotent: bool
    spot: Spot


def serve_components(models: Sequence[LoadedModel], backends: Backends, problems: Problems) -> list[Served]:
    """The components to serve, sorted by name; what these backends cannot serve is noted and left out."""
    names = serving_names(models)
    calls: dict[str, list[tuple[LoadedModel, Component]]] = {}
    for model in sorted(models, key=lambda model: model.name):
        for component in sorted(model.components.values(), key=lambda component: component.name):
            calls.setdefault(names[model.name, component.name], []).append((model, component))
    found = [_serve(name, callers, backends, problems) for name, callers in sorted(calls.items())]
    return [served for served in found if served is not None]


def _serve(
    name: str, calls: list[tuple[LoadedModel, Component]], backends: Backends, problems: Problems
) -> Served | None:
    model, component = calls[0]
    spot = Spot(_document(model), problems, ("components", component.name))
    hosting = choose_hosting(component, backends, spot)
    if hosting is None:
        return None
    return Served(
        name,
        component,
        hosting,
        tuple({user.name: user for user, _ in calls}.values()),
        tuple(f"{user.name}.{called.name}" for user, called in calls),
        all(called.spec.idempotent for _, called in calls),
        spot,
    )


def streams(model: LoadedModel) -> bool:
    """Whether the model is also served as `<model>_stream`.

    It is where a component streams, as a path that is recorded later may lead through it, and where a
    recorded path cuts a value into chunks.
    """
    if any(component.signature.streaming for component in model.components.values()):
        return True
    invocations = [invocation for path in model.paths.values() for invocation in path.invocations]
    return any(isinstance(argument, Chunks) for each in invocations for argument in each.inputs.values())


def note_collisions(models: Iterable[LoadedModel], served: Iterable[Served], problems: Problems) -> None:
    """Notes Triton models of the same name."""
    taken: dict[str, str] = {
        each.name: f"component {each.component.name} of {each.users[0].file}" for each in served
    }
    taken[MODEL] = "servers that work as one"
    for model in models:
        for name in (*orchestrator_models(model.name), gate_name(model.name)):
            if name in taken:
                what = f"the Triton model {name} is also needed by {taken[name]}"
                _document(model).note(problems, ("model",), what, "rename one of the two")
            taken[name] = str(model.file)


def gate_name(model: str) -> str:
    """The Triton model that joins the steps of the readiness probe."""
    return f"{model}_ready_gate"


def _document(model: LoadedModel) -> Document:
    """Read again for the lines that messages name; it was read without problems before."""
    return read_yaml(model.file, Problems()) or Document(str(model.file), {})
