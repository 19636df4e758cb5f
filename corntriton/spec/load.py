"""Loads models whole: model.yaml, flow and components in; LoadedModels, or all problems of all files, out.

What depends on an invalid part of a file waits until that part is mended; everything else is checked at once:

    model.yaml ──read_yaml──> Document ──read_draft──> ModelSpec ──resolve──> Components ─┐
    flow.py ──load_flow──> Flow ────────────────────────────────────────────────record────┴──> LoadedModel
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as File

from corntriton.errors import Problems, UserError
from corntriton.record.facts import Facts
from corntriton.record.flow import Flow, load_flow
from corntriton.record.path import Path
from corntriton.record.recording import record
from corntriton.record.signature import ModelSignature, Signature
from corntriton.spec.components import Component, resolve
from corntriton.spec.files import Document, Spot, read_yaml
from corntriton.spec.model import ModelSpec, to_ports
from corntriton.spec.names import component_model
from corntriton.spec.paths import existing
from corntriton.spec.requests import check_request_type, facts_of
from corntriton.spec.salvage import Draft, read_draft


@dataclass(frozen=True)
class LoadedModel:
    """A model without problems: everything that is known before it is planned and built.

    Attributes:
        file: Its model.yaml.
        spec: What the file says.
        flow: The flow, imported.
        signature: What the flow may see.
        components: By name, resolved.
        facts: Of each request type.
        paths: The recorded path of each request type.
    """

    file: File
    spec: ModelSpec
    flow: Flow
    signature: ModelSignature
    components: Mapping[str, Component]
    facts: Mapping[str, Facts]
    paths: Mapping[str, Path]

    @property
    def name(self) -> str:
        """What clients call the model."""
        return self.spec.model

    @property
    def flow_file(self) -> File:
        """The file of the flow, which is packed beside the orchestrator."""
        return self.file.parent / self.spec.flow.rpartition(":")[0]

    @property
    def unused(self) -> tuple[str, ...]:
        """Components that no request type visits; empty where no request types are declared."""
        visited = {invocation.component for path in self.paths.values() for invocation in path.invocations}
        return tuple(name for name in self.components if self.paths and name not in visited)


def load_models(files: Iterable[File | str]) -> list[LoadedModel]:
    """Loads models, each given by its model.yaml or by the folder that holds one.

    Raises:
        UserError: With every problem of every file, flows that cannot be recorded included.
    """
    problems = Problems()
    paths = [File(file) / "model.yaml" if File(file).is_dir() else File(file) for file in files]
    documents = [read_yaml(path, problems) for path in paths]
    loaded = [_load(document, problems) for document in documents if document is not None]
    _note_equal_names([document for document in documents if document is not None], problems)
    problems.raise_if_any()
    return [model for model in loaded if model is not None]


def serving_names(models: Sequence[LoadedModel]) -> dict[tuple[str, str], str]:
    """The Triton model that serves each (model, component).

    Components with equal keys are served once, under the name that comes first in the alphabet.
    """
    owners: dict[str, tuple[str, str]] = {}
    named = {(model.name, part.name): part.key for model in models for part in model.components.values()}
    for owner in sorted(named):
        owners.setdefault(named[owner], owner)
    return {place: component_model(*owners[key]) for place, key in named.items()}


def _load(document: Document, problems: Problems) -> LoadedModel | None:
    draft = read_draft(document, problems)
    flow = _flow(document, draft, problems)
    if draft.spec is None:
        return None
    components = _components(document, draft, problems)
    facts = _facts(document, draft, problems)
    if flow is None or not draft.ports_known or len(components) < len(draft.spec.components):
        return None
    signature = _signature(draft.spec, components)
    paths = _record(flow, signature, facts, problems)
    return LoadedModel(File(document.file), draft.spec, flow, signature, components, facts, paths)


def _flow(document: Document, draft: Draft, problems: Problems) -> Flow | None:
    if draft.is_broken("flow"):
        return None
    name = str(document.get(("flow",)))
    if existing(name.rpartition(":")[0], Spot(document, problems, ("flow",))) is None:
        return None
    try:
        return load_flow(name, document.folder)
    except UserError as error:
        problems.extend(error)
        return None


def _components(document: Document, draft: Draft, problems: Problems) -> dict[str, Component]:
    assert draft.spec is not None  # the caller saw to it
    found = {}
    for name, spec in draft.spec.components.items():
        spot = Spot(document, problems, ("components", name))
        component = resolve(name, spec, spot, whole=not draft.is_broken(*spot.place))
        if component is not None:
            found[name] = component
    return found


def _facts(document: Document, draft: Draft, problems: Problems) -> dict[str, Facts]:
    assert draft.spec is not None  # the caller saw to it
    spec, found = draft.spec, {}
    if draft.is_broken("inputs") or draft.is_broken("outputs"):
        return {}
    for name, request_type in spec.request_types.items():
        spot = Spot(document, Problems(), ("request_types", name))
        if draft.is_broken(*spot.place):
            continue
        check_request_type(request_type, spec.inputs, spec.outputs, spot)
        try:
            spot.problems.raise_if_any()
            found[name] = facts_of(request_type, spec.inputs)
        except UserError as error:
            problems.extend(error)
    return found


def _signature(spec: ModelSpec, components: Mapping[str, Component]) -> ModelSignature:
    ports = Signature(to_ports(spec.inputs), to_ports(spec.outputs))
    return ModelSignature(spec.model, ports, {name: part.signature for name, part in components.items()})


def _record(
    flow: Flow, signature: ModelSignature, facts: Mapping[str, Facts], problems: Problems
) -> dict[str, Path]:
    paths = {}
    for name, known in facts.items():
        try:
            paths[name] = record(flow, signature, known)
        except UserError as error:
            problems.extend(error)
    return paths


def _note_equal_names(documents: Iterable[Document], problems: Problems) -> None:
    first: dict[str, str] = {}
    for document in documents:
        name = document.get(("model",))
        if isinstance(name, str) and name in first:
            what = f"{name!r} is also the name of the model in {first[name]}"
            document.note(problems, ("model",), what, "rename one of the two")
        elif isinstance(name, str):
            first[name] = document.file
