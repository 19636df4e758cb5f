"""What `corntriton check` says about models that loaded: warnings, who serves what, the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

from rich.console import Console
from rich.text import Text

from corntriton.errors import Problem, Problems
from corntriton.record.codec import path_to_json
from corntriton.report.compiled import show_compiled
from corntriton.report.models import show_model
from corntriton.repository.compiling import CompiledType, compile_model
from corntriton.repository.edges import Sizes
from corntriton.repository.hosting import Backends
from corntriton.repository.served import Served, serve_components
from corntriton.repository.targets import settings_of
from corntriton.repository.units import unplanned
from corntriton.spec.load import LoadedModel, serving_names
from corntriton.spec.names import component_model


def warnings(models: Sequence[LoadedModel]) -> list[Problem]:
    """What is probably not meant: components that no request type visits, models without request types."""
    found = []
    for model in models:
        file = str(model.file)
        if not model.paths:
            what, fix = "is empty: nothing was recorded", "declare the requests that you expect"
            found.append(Problem(file, "$.request_types", what, fix))
        for name in model.unused:
            what, fix = "is visited by no request type", "declare a request type that visits it, or remove it"
            found.append(Problem(file, f"$.components.{name}", what, fix))
    return found


def to_json(models: Sequence[LoadedModel]) -> dict[str, object]:
    """Everything that was found, for machines."""
    backends, types = compiled_types(models)
    return {
        "problems": [],
        "warnings": [vars(warning) for warning in warnings(models)],
        "backends": backends,
        "models": [_model_to_json(model, _served_as(model, models), types) for model in models],
    }


def compiled_types(models: Sequence[LoadedModel]) -> tuple[Backends, list[CompiledType]]:
    """What a build without a plan compiles: for the embedded server, or NGC where only that has all it takes.

    That is a native backend, or the GPUs that components share tensors on.
    """
    backends, served = _serving(models)
    units, names = unplanned(served), serving_names(models)
    taken = [unit.name for unit in units]
    compilations = [
        compile_model(settings_of(model, names, units, None), taken, partial(_sizes, model), backends)
        for model in models
    ]
    return backends, [each for compilation in compilations for each in compilation.types]


def show(models: Sequence[LoadedModel], console: Console) -> None:
    """Draws the models, and sums up."""
    backends, types = compiled_types(models)
    for model in models:
        served = {
            name: served_as
            for name, served_as in _served_as(model, models).items()
            if served_as != component_model(model.name, name)
        }
        show_model(model, served, console)
        show_compiled([each for each in types if each.model == model.name], backends, console)
    for warning in warnings(models):
        console.print(Text.assemble(("warning: ", "yellow"), str(warning)), soft_wrap=True)
    for model in models:
        console.print(
            Text.assemble(("✓ ", "green"), (model.name, "bold"), f": {_summary(model)}"), soft_wrap=True
        )


def _sizes(model: LoadedModel, request_type: str) -> Sizes:
    return Sizes(model.facts[request_type].shapes)


def _serving(models: Sequence[LoadedModel]) -> tuple[Backends, list[Served]]:
    problems = Problems()
    served = serve_components(models, "embedded", problems)
    if problems or any(each.component.device_inputs or each.component.device_outputs for each in served):
        return "ngc", serve_components(models, "ngc", Problems())
    return "embedded", served


def _served_as(model: LoadedModel, models: Sequence[LoadedModel]) -> dict[str, str]:
    names = serving_names(models)
    return {name: names[model.name, name] for name in model.components}


def _summary(model: LoadedModel) -> str:
    return (
        f"{_count(len(model.components), 'component')}, {_count(len(model.paths), 'request type')} recorded"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _model_to_json(
    model: LoadedModel, served_as: dict[str, str], types: Sequence[CompiledType]
) -> dict[str, object]:
    return {
        "model": model.name,
        "file": str(model.file),
        "signature": model.signature.to_json(),
        "served_as": served_as,
        "unused": list(model.unused),
        "request_types": {name: path_to_json(path) for name, path in model.paths.items()},
        "compiled": [asdict(each) for each in types if each.model == model.name],
    }
