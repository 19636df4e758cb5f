"""What one tritonserver is to load: models and units in, every Triton model's config and folder out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path as File

import corntriton
from corntriton.errors import Problems
from corntriton.repository import (
    component_model,
    ensembles,
    executor_model,
    manifest,
    orchestrator_model,
    probe_model,
    transfer_model,
)
from corntriton.repository.compiling import Compilation, compile_model
from corntriton.repository.config import Config, check_configs, make_config
from corntriton.repository.edges import Edge, Sizes
from corntriton.repository.ensembles import Ensemble
from corntriton.repository.hosting import Backends
from corntriton.repository.manifest import Manifest, ModelEntry, ModelKind, WeightsEntry
from corntriton.repository.notes import notes_of_types
from corntriton.repository.packing import files_below
from corntriton.repository.routing import Routing
from corntriton.repository.served import gate_name, streams
from corntriton.repository.targets import settings_of
from corntriton.repository.templates import Templates
from corntriton.repository.units import Unit
from corntriton.runtime.limits import thread_pool_size
from corntriton.runtime.transfer.settings import MODEL
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
        found |= {each.name: each for each in self._transfer}
        others = [planned for model in self.models for planned in self._of_model(model, found)]
        others += self._transfer
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

    @cached_property
    def _compiled(self) -> Mapping[str, Compilation]:
        """Of each model."""
        taken = [unit.name for unit in self.units]
        return {
            model.name: compile_model(
                settings_of(model, self.names, self.units, self.routing),
                taken,
                partial(self._sizes, model),
                self.backends,
            )
            for model in self.models
        }

    @cached_property
    def _transfer(self) -> list[Planned]:
        """The model that brings tensors from servers of other roles, where there are any."""
        if self.routing is None or not self.routing.others:
            return []
        settings = transfer_model.settings(self.routing.role, self.routing.roles, self.models)
        config = make_config(self.templates, transfer_model.TEMPLATE, transfer_model.config_values())
        write = partial(transfer_model.write, settings, runtime=self.runtime)
        return [Planned(MODEL, "transfer", tuple(model.name for model in self.models), config, write)]

    def _sizes(self, model: LoadedModel, request_type: str) -> Sizes:
        shapes = model.facts[request_type].shapes
        if self.routing is None:
            return Sizes(shapes)
        return Sizes(shapes, partial(self.routing.output_bytes, f"{model.name}/{request_type}"))

    def _describe(self, planned: Sequence[Planned], repository: File) -> Manifest:
        specs = [served.component.spec for unit in self.units for served in unit.members.values()]
        requirements = {requirement for spec in specs for requirement in spec.requirements}
        requirements |= {transfer_model.REQUIREMENT} if self._transfer else set()
        settings = [compiled.settings for compiled in self._compiled.values()]
        types = [each for compiled in self._compiled.values() for each in compiled.types]
        return Manifest(
            corntriton.__version__,
            self.backends,
            tuple(_entry(each, repository / each.name) for each in planned),
            tuple(each.name for each in planned if each.kind in ("orchestrator", "ensemble")),
            tuple(each.name for each in planned if each.kind == "probe"),
            # The most threads that the calls of any one orchestrator need at once.
            (f"--backend-config=python,thread-pool-size={thread_pool_size(settings)}", *_cache_flag(planned)),
            tuple(sorted(requirements)),
            tuple(self._weights(repository)),
            (*self.notes, *notes_of_types(types)),
            self.plan_sha256,
            tuple(types),
            role=self.routing.role.name if self.routing and self._transfer else "",
            calls=self.routing.others if self.routing else (),
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
        """The orchestrator, once or twice, compiled paths, and the probe of these and what they call here."""
        unary, streaming, probe = orchestrator_models(model.name)
        gate = gate_name(model.name)
        names = [unary, streaming] if streams(model) else [unary]
        orchestrators = [self._orchestrator(model, name, name == streaming) for name in names]
        compiled = [self._ensemble(each, components) for each in self._compiled[model.name].ensembles]
        found = {**components, **{each.name: each for each in compiled}}
        targets = self._compiled[model.name].settings.targets.values()
        called = sorted({target.model_name for target in targets if not target.server})
        called += [each.name for each in self._transfer]
        public = [each.name for each in compiled if each.kind == "ensemble"]
        configs = [found[name].config.message for name in (*called, *public)]
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
            *compiled,
            Planned(probe, "probe", serves, probe_config, probe_model.write),
            Planned(gate, "gate", serves, gate_config, probe_model.write_gate),
        ]

    def _orchestrator(self, model: LoadedModel, name: str, streaming: bool) -> Planned:
        values = orchestrator_model.config_values(model, name, streaming)
        config = make_config(self.templates, orchestrator_model.TEMPLATE, values)
        settings = self._compiled[model.name].settings
        return Planned(
            name,
            "orchestrator",
            (model.name,),
            config,
            lambda folder: orchestrator_model.write(model, settings, folder, self.runtime),
        )

    def _ensemble(self, ensemble: Ensemble, components: Mapping[str, Planned]) -> Planned:
        model = ensemble.way.model.name
        sizes = [components[step.model].config.message.max_batch_size for step in ensemble.steps]
        values = ensembles.config_values(ensemble, sizes, self._edges(ensemble))
        config = make_config(self.templates, ensembles.TEMPLATE, values)
        kind: ModelKind = "ensemble" if ensemble.public else "path"
        return Planned(ensemble.name, kind, (model,), config, probe_model.write)

    def _edges(self, ensemble: Ensemble) -> tuple[Edge, ...]:
        """For the comments of a private one; those of a public one are all inline."""
        ways = [way for each in self._compiled[ensemble.way.model.name].types for way in each.routes]
        return next((way.edges for way in ways if way.ensemble == ensemble.name), ())

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
