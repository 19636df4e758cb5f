"""What one tritonserver is to load: models and units in, every Triton model's config and folder out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as File

import corntriton
from corntriton.errors import Problems
from corntriton.repository import component_model, executor_model, manifest, orchestrator_model, probe_model
from corntriton.repository.config import Config, check_configs, make_config
from corntriton.repository.hosting import Backends
from corntriton.repository.manifest import Manifest, ModelEntry, ModelKind, WeightsEntry
from corntriton.repository.packing import files_below
from corntriton.repository.routing import Routing
from corntriton.repository.served import gate_name, streams
from corntriton.repository.templates import Templates
from corntriton.repository.units import Unit
from corntriton.runtime.limits import thread_pool_size
from corntriton.runtime.settings import OrchestratorSettings, Target
from corntriton.spec.load import LoadedModel
from corntriton.spec.names import orchestrator_models

REPOSITORY = "model_repository"


@dataclass(frozen=True)
class Planned:
    """A Triton model that is about to be written: all about it, and what fills its version folder."""

    name: str
    kind: ModelKind
    serves: tuple[str, ...]
    config: Config
    write: Callable[[File], None]
    executor: str | None = None


@dataclass(frozen=True)
class Server:
    """One server's share of a build.

    Attributes:
        models: What clients can call there.
        names: The serving name of each (model, component).
        units: What serves the components.
        routing: Where requests go; None without a plan.
        backends: What the server has.
        templates: Of the configs.
        runtime: The archive for each version folder.
        link: Link to weights.
        notes: For the manifest.
        plan_sha256: Of the plan.
    """

    models: Sequence[LoadedModel]
    names: Mapping[tuple[str, str], str]
    units: Sequence[Unit]
    routing: Routing | None
    backends: Backends
    templates: Templates
    runtime: bytes
    link: bool
    notes: tuple[str, ...]
    plan_sha256: str | None = None

    def plan(self, problems: Problems) -> list[Planned]:
        """Every Triton model, sorted by name, checked.

        Raises:
            UserError: With the problems found.
        """
        components = [self._component(unit) for unit in self.units]
        problems.raise_if_any()
        self._check(components, components, problems)  # first: the rest is made from these
        found = {each.name: each for each in components}
        others = [planned for model in self.models for planned in self._of_model(model, found)]
        self._check(others, [*components, *others], problems)
        return sorted([*components, *others], key=lambda each: each.name)

    def write(self, planned: Sequence[Planned], folder: File, on_written: Callable[[], object]) -> Manifest:
        """Writes the models and the manifest, which is returned."""
        for model in planned:
            model.write(folder / REPOSITORY / model.name / "1")
            config = folder / REPOSITORY / model.name / "config.pbtxt"
            config.write_text(model.config.text, encoding="utf-8")
            on_written()
        made = self._describe(planned, folder / REPOSITORY)
        (folder / manifest.FILE).write_text(made.to_json(), encoding="utf-8")
        return made

    def _describe(self, planned: Sequence[Planned], repository: File) -> Manifest:
        specs = [served.component.spec for unit in self.units for served in unit.members.values()]
        settings = [self._settings(model) for model in self.models]
        return Manifest(
            corntriton.__version__,
            self.backends,
            tuple(_entry(each, repository / each.name) for each in planned),
            tuple(each.name for each in planned if each.kind == "orchestrator"),
            tuple(each.name for each in planned if each.kind == "probe"),
            # The most threads that the calls of any one orchestrator need at once.
            (f"--backend-config=python,thread-pool-size={thread_pool_size(settings)}", *_cache_flag(planned)),
            tuple(sorted({requirement for spec in specs for requirement in spec.requirements})),
            tuple(self._weights(repository)),
            self.notes,
            self.plan_sha256,
        )

    def _check(self, planned: Sequence[Planned], beside: Sequence[Planned], problems: Problems) -> None:
        configs, others = ({each.name: each.config for each in group} for group in (planned, beside))
        check_configs(configs, others, self.backends == "embedded", problems)
        problems.raise_if_any()

    def _component(self, unit: Unit) -> Planned:
        if unit.joint:
            config = make_config(self.templates, executor_model.TEMPLATE, executor_model.config_values(unit))
            return Planned(
                unit.name,
                "executor",
                unit.callers,
                config,
                lambda folder: executor_model.write(unit, folder, self.runtime, self.link),
                unit.executor,
            )
        [served] = unit.members.values()
        overrides = served.spot.at("config"), served.component.spec.config
        values = component_model.config_values(unit)
        return Planned(
            unit.name,
            "component",
            unit.callers,
            make_config(self.templates, component_model.TEMPLATE, values, overrides),
            lambda folder: component_model.write(served, folder, self.runtime, self.link),
            unit.executor,
        )

    def _of_model(self, model: LoadedModel, components: Mapping[str, Planned]) -> list[Planned]:
        """The orchestrator, once or twice, and the probe of both and of all that they call."""
        unary, streaming, probe = orchestrator_models(model.name)
        gate = gate_name(model.name)
        names = [unary, streaming] if streams(model) else [unary]
        orchestrators = [self._orchestrator(model, name, name == streaming) for name in names]
        called = sorted(target.model_name for target in self._settings(model).targets.values())
        configs = [components[name].config.message for name in dict.fromkeys(called)]
        configs += [each.config.message for each in orchestrators]
        templates, serves = self.templates, (model.name,)
        probe_config = make_config(
            templates, probe_model.TEMPLATE, probe_model.probe_values(probe, gate, configs)
        )
        gate_config = make_config(
            templates, probe_model.GATE_TEMPLATE, probe_model.gate_values(gate, probe, configs)
        )
        return [
            *orchestrators,
            Planned(probe, "probe", serves, probe_config, probe_model.write),
            Planned(gate, "gate", serves, gate_config, probe_model.write_gate),
        ]

    def _orchestrator(self, model: LoadedModel, name: str, streaming: bool) -> Planned:
        values = orchestrator_model.config_values(model, name, streaming)
        config = make_config(self.templates, orchestrator_model.TEMPLATE, values)
        settings = self._settings(model)
        return Planned(
            name,
            "orchestrator",
            (model.name,),
            config,
            lambda folder: orchestrator_model.write(model, settings, folder, self.runtime),
        )

    def _settings(self, model: LoadedModel) -> OrchestratorSettings:
        names = {component: self.names[model.name, component] for component in sorted(model.components)}
        if self.routing is None:
            return orchestrator_model.settings(model, self._by_component(model, names))
        routes, usual = self.routing.routes(model), self.routing.usual(names)
        return orchestrator_model.settings(model, self._by_unit(model, names), routes, usual)

    def _by_component(self, model: LoadedModel, names: Mapping[str, str]) -> dict[str, Target]:
        """Without a plan, each component is a target."""
        served = {unit.name: unit.members[unit.name] for unit in self.units}
        specs = model.spec.components
        return {
            name: component_model.target(
                served[names[name]], specs[name].in_flight_limit, specs[name].idempotent
            )
            for name in names
        }

    def _by_unit(self, model: LoadedModel, names: Mapping[str, str]) -> dict[str, Target]:
        """With a plan, each Triton model is."""
        targets = {}
        for unit in self.units:
            here = {name: serving for name, serving in names.items() if serving in unit.members}
            if here and unit.joint:
                targets[unit.name] = executor_model.target(unit, here)
            for name, serving in here.items() if not unit.joint else ():
                served, declared = unit.members[serving], model.spec.components[name]
                limit = declared.max_in_flight or served.component.spec.in_flight_limit
                target = component_model.target(served, limit, declared.idempotent)
                targets[unit.name] = replace(target, component=name)
        return targets

    def _weights(self, repository: File) -> list[WeightsEntry]:
        found = []
        for unit in self.units:
            [served] = unit.members.values() if not unit.joint else [None]
            listed = executor_model.weights(unit) if served is None else component_model.weights(served)
            for path, _, source in listed:
                nbytes = _nbytes(repository / unit.name / "1" / path)
                found.append(WeightsEntry(unit.name, f"1/{path}", source, nbytes, self.link))
        return found


def _cache_flag(planned: Sequence[Planned]) -> list[str]:
    """A response cache asked for under `config:` is off unless the server has one; 64 MiB are a beginning."""
    cached = any(each.config.message.response_cache.enable for each in planned)
    return [f"--cache-config=local,size={64 << 20}"] if cached else []


def _entry(planned: Planned, folder: File) -> ModelEntry:
    groups = planned.config.message.instance_group
    kinds = sorted({group.Kind.Name(group.kind) for group in groups})
    count = sum(max(1, group.count) * max(1, len(group.gpus)) for group in groups)
    gpus = sorted({gpu for group in groups for gpu in group.gpus})
    return ModelEntry(
        planned.name,
        planned.kind,
        planned.serves,
        "+".join(kinds) or None,
        count,
        manifest.hashes(folder),
        tuple(gpus),
        planned.executor,
    )


def _nbytes(path: File) -> int:
    return sum(file.stat().st_size for file in files_below(path)) if path.is_dir() else path.stat().st_size
