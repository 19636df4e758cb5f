"""Writes the model repository: loaded models in; folders that tritonserver loads, and a manifest, out.

    LoadedModels ──serve_components──> Served ──templates──> Configs ──rules──> folders ──> DIR, in one step

Rules that users rely on:

- Components are `<model>__<component>`; equal ones are served once, under the first name in the alphabet.
- Weights are copied to 1/files/<name>, or linked for development on one machine; code goes to 1/code.
- Of the flow, its one file is packed.
- The same input gives the same bytes. Nothing half-written ever stands in the target's place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path as File

import corntriton
from corntriton.errors import Problems
from corntriton.repository import component_model, manifest, orchestrator_model, probe_model
from corntriton.repository.config import Config, check_configs, make_config
from corntriton.repository.hosting import Backends
from corntriton.repository.manifest import Manifest, ModelEntry, ModelKind, WeightsEntry
from corntriton.repository.packing import files_below, runtime_archive
from corntriton.repository.publish import replacing
from corntriton.repository.served import Served, gate_name, note_collisions, serve_components, streams
from corntriton.repository.templates import Templates
from corntriton.runtime.limits import thread_pool_size
from corntriton.spec.load import LoadedModel, serving_names
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


def build(
    models: Sequence[LoadedModel],
    out: File,
    backends: Backends = "embedded",
    templates: File | None = None,
    link: bool = False,
    on_written: Callable[[int], object] = lambda total: None,
) -> Manifest:
    """Builds a repository for one server.

    Args:
        models: What to serve; equal components of several are served once.
        out: Gets `model_repository/` and `manifest.json`. An earlier build there is replaced as a whole.
        backends: Of the server: `embedded` has only the Python backend and no GPU, `ngc` has them all.
        templates: A folder of templates that win over the shipped ones.
        link: Link to weights instead of copying them: for development on one machine.
        on_written: Called after each model directory, with how many there will be.

    Raises:
        UserError: With every problem found: components that these backends cannot serve, overrides that
            are no ModelConfig, rules of Triton's that a config breaks, an `out` that holds other things.
    """
    builder = _Builder(sorted(models, key=lambda model: model.name), backends, Templates(templates), link)
    planned = builder.plan()
    with replacing(out, manifest.FILE) as folder:
        for model in planned:
            model.write(folder / REPOSITORY / model.name / "1")
            (folder / REPOSITORY / model.name / "config.pbtxt").write_text(
                model.config.text, encoding="utf-8"
            )
        made = builder.describe(planned, folder / REPOSITORY)
        (folder / manifest.FILE).write_text(made.to_json(), encoding="utf-8")
    return made


class _Builder:
    """One build, up to the writing."""

    def __init__(
        self, models: Sequence[LoadedModel], backends: Backends, templates: Templates, link: bool
    ) -> None:
        self._models = models
        self._backends: Backends = backends
        self._templates = templates
        self._link = link
        self._problems = Problems()
        self._runtime = runtime_archive()
        self._served = serve_components(models, backends, self._problems)

    def plan(self) -> list[Planned]:
        """Every Triton model, sorted by name, checked."""
        note_collisions(self._models, self._served, self._problems)
        for model in self._models:
            orchestrator_model.note_lost_imports(model, self._problems)
        self._problems.raise_if_any()
        components = [self._component(served) for served in self._served]
        self._problems.raise_if_any()
        self._check(components, components)  # first: the rest is made from these
        found = {each.name: each for each in components}
        others = [planned for model in self._models for planned in self._of_model(model, found)]
        self._check(others, [*components, *others])
        return sorted([*components, *others], key=lambda each: each.name)

    def describe(self, planned: Sequence[Planned], repository: File) -> Manifest:
        """The manifest of what was written."""
        specs = [served.component.spec for served in self._served]
        settings = [orchestrator_model.settings(model, self._served_by(model)) for model in self._models]
        return Manifest(
            corntriton.__version__,
            self._backends,
            tuple(_entry(each, repository / each.name) for each in planned),
            tuple(each.name for each in planned if each.kind == "orchestrator"),
            tuple(each.name for each in planned if each.kind == "probe"),
            # The most threads that the calls of any one orchestrator need at once.
            (f"--backend-config=python,thread-pool-size={thread_pool_size(settings)}", *_cache_flag(planned)),
            tuple(sorted({requirement for spec in specs for requirement in spec.requirements})),
            tuple(self._weights(repository)),
            tuple(self._notes()),
        )

    def _check(self, planned: Sequence[Planned], beside: Sequence[Planned]) -> None:
        configs, others = ({each.name: each.config for each in group} for group in (planned, beside))
        check_configs(configs, others, self._backends == "embedded", self._problems)
        self._problems.raise_if_any()

    def _component(self, served: Served) -> Planned:
        config = make_config(
            self._templates,
            component_model.TEMPLATE,
            component_model.config_values(served),
            (served.spot.at("config"), served.component.spec.config),
        )
        return Planned(
            served.name,
            "component",
            served.callers,
            config,
            lambda folder: component_model.write(served, folder, self._runtime, self._link),
        )

    def _of_model(self, model: LoadedModel, components: dict[str, Planned]) -> list[Planned]:
        """The orchestrator, once or twice, and the probe of both and of all that they call."""
        unary, streaming, probe = orchestrator_models(model.name)
        gate = gate_name(model.name)
        names = [unary, streaming] if streams(model) else [unary]
        orchestrators = [self._orchestrator(model, name, name == streaming) for name in names]
        called = sorted({served.name for served in self._served_by(model).values()})
        configs = [components[name].config.message for name in called]
        configs += [each.config.message for each in orchestrators]
        templates, serves = self._templates, (model.name,)
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
        config = make_config(self._templates, orchestrator_model.TEMPLATE, values)
        settings = orchestrator_model.settings(model, self._served_by(model))
        return Planned(
            name,
            "orchestrator",
            (model.name,),
            config,
            lambda folder: orchestrator_model.write(model, settings, folder, self._runtime),
        )

    def _served_by(self, model: LoadedModel) -> dict[str, Served]:
        names, by_name = serving_names(self._models), {served.name: served for served in self._served}
        return {component: by_name[names[model.name, component]] for component in model.components}

    def _weights(self, repository: File) -> list[WeightsEntry]:
        return [
            WeightsEntry(
                served.name, f"1/{path}", source, _nbytes(repository / served.name / "1" / path), self._link
            )
            for served in self._served
            for path, _, source in component_model.weights(served)
        ]

    def _notes(self) -> list[str]:
        unplanned = "no plan was given: each component has the instances that its model.yaml asks for"
        mapped = [
            f"{served.name}: gpu asked for, mapped to KIND_CPU because --backends embedded"
            for served in self._served
            if served.hosting.gpu_withheld
        ]
        unused = [
            f"{model.name}: no request type visits the component {name}; it is served all the same"
            for model in self._models
            for name in model.unused
        ]
        return [unplanned, *mapped, *unused]


def _cache_flag(planned: Sequence[Planned]) -> list[str]:
    """A response cache asked for under `config:` is off unless the server has one; 64 MiB are a beginning."""
    cached = any(each.config.message.response_cache.enable for each in planned)
    return [f"--cache-config=local,size={64 << 20}"] if cached else []


def _entry(planned: Planned, folder: File) -> ModelEntry:
    groups = planned.config.message.instance_group
    kinds = sorted({group.Kind.Name(group.kind) for group in groups})
    count = sum(max(1, group.count) for group in groups)
    return ModelEntry(
        planned.name, planned.kind, planned.serves, "+".join(kinds) or None, count, manifest.hashes(folder)
    )


def _nbytes(path: File) -> int:
    return sum(file.stat().st_size for file in files_below(path)) if path.is_dir() else path.stat().st_size
