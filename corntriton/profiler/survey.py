"""What is to be measured: models and options in; subjects and their points, in order, out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as File

from corntriton.errors import Problem, Problems, UserError
from corntriton.load.examples import Example, find_examples
from corntriton.planner.names import Names
from corntriton.profiler.items import Item, choose
from corntriton.profiler.reading import Point
from corntriton.profiler.subject import Subject
from corntriton.profiler.work import CALLS, CHUNKS, Measure, read_measures
from corntriton.repository.hosting import Backends
from corntriton.repository.served import Served, serve_components
from corntriton.spec.load import LoadedModel, load_models
from corntriton.spec.validation import choose as choose_name
from corntriton.spec.workload import Workload, read_workload

FIRST, MOST, BETWEEN = range(3)  # the order in which batch sizes are measured


@dataclass(frozen=True)
class Setup:
    """What is measured with one load of one Triton model.

    Attributes:
        members: Of the executor; one component by itself otherwise.
        batch: The batch limit.
        points: What is measured then.
        turn: FIRST, MOST or BETWEEN: what a small budget leaves out comes last.
    """

    members: tuple[str, ...]
    batch: int
    points: tuple[Point, ...]
    turn: int


class Survey:
    """Everything that is known before anything is measured.

    Attributes:
        models: With one instance of each component, whatever they declare.
        names: Full names of components, by every name they may have.
        subjects: Every component by itself, by `model/component`.
        sets: Components to be measured together, in one executor each.
        only: The components that are measured by themselves.
        examples: By model and request type.
        notes: What a reader has to know.

    Args:
        files: The models.
        together: Sets of components to be measured in one process as well.
        only: Components to be measured; none for all.
        workload: A workload.yaml, which says what work there is where examples/work.yaml does not.
        backends: What the server has.

    Raises:
        UserError: With every problem of every file and option.
    """

    def __init__(
        self,
        files: Sequence[File],
        together: Sequence[Sequence[str]],
        only: Sequence[str],
        workload: str | None,
        backends: Backends,
    ) -> None:
        problems = Problems()
        self._workload = read_workload(workload, problems) if workload else None
        self.models = _load(files, problems)
        named = Names(self.models)
        self.names = named.component
        self.types = named.type
        served = serve_components(self.models, backends, problems)
        self._measures: dict[str, Measure] = {}
        self.examples: dict[str, dict[str, list[Example]]] = {}
        for model in self.models:
            self.examples[model.name] = find_examples(model, problems)
            for name, measure in read_measures(model, problems).items():
                self._measures[self.names[f"{model.name}/{name}"]] = measure
        self.subjects = {_full(each): Subject(_full(each), each, each.name) for each in served}
        self.sets = [self._set(each, problems) for each in together]
        self.only = [self._named(name, "--only", problems) for name in only] or [*self.subjects]
        problems.raise_if_any()
        self._states = _stated(self._workload, self.types)

    def count(self, component: str, request_type: str) -> Measure | float:
        """How much work a call is: as examples/work.yaml counts it, else as the workload says, else 1."""
        if component in self._measures:
            return self._measures[component]
        said = self._states.get((component.partition("/")[2], request_type))
        return said if said is not None else self._default(component)

    def unit(self, component: str) -> str:
        """What one unit of a component's work is."""
        if component in self._measures:
            return self._measures[component].text
        if any(name == component.partition("/")[2] for name, _ in self._states):
            return "as the workload says"
        return self._default(component).text

    def worth(self) -> Iterator[tuple[LoadedModel, Example]]:
        """The requests to run; of a workload, those that it has."""
        asked = {self.types.get(name) for name in self._workload.request_types} if self._workload else None
        for model in self.models:
            for name, examples in self.examples[model.name].items():
                if asked is None or f"{model.name}/{name}" in asked:
                    yield from ((model, example) for example in examples)

    def setups(self, items: Mapping[str, Sequence[Item]], works: int) -> list[Setup]:
        """What to measure, the most telling first.

        Args:
            items: What each component gets.
            works: Most works of each component.
        """
        chosen = {name: choose(found, works) for name, found in items.items()}
        found = []
        for name in self.only:
            subject = self.subjects[name]
            limits = (max(subject.batches),) if subject.streams else subject.batches
            for limit in limits:
                batches = subject.batches if subject.streams else (limit,)
                points = _points(subject, batches, chosen[name])
                found.append(Setup((name,), limit, points, _turn(limit, subject.batches)))
        for members in self.sets:
            found += self._setups_of(members, chosen)
        return sorted((setup for setup in found if setup.points), key=lambda setup: setup.turn)

    def _setups_of(
        self, members: Sequence[str], chosen: Mapping[str, Mapping[float, list[Item]]]
    ) -> Iterator[Setup]:
        subjects = [self._beside(name, members) for name in members]
        largest = max(subject.max_batch for subject in subjects)
        for limit in sorted({1, largest}):
            points: list[Point] = []
            for subject in subjects:
                batch = min(limit, subject.max_batch)
                if limit == 1 or batch > 1:  # what has a limit of 1 was measured with all at 1
                    points += _points(subject, (batch,), chosen[subject.name])
            yield Setup(tuple(members), limit, tuple(points), FIRST if limit == 1 else MOST)

    def _beside(self, name: str, members: Sequence[str]) -> Subject:
        others = tuple(other for other in members if other != name)
        return replace(self.subjects[name], beside=others)

    def _default(self, component: str) -> Measure:
        return CHUNKS if self.subjects[component].streams else CALLS

    def _set(self, names: Sequence[str], problems: Problems) -> tuple[str, ...]:
        members = tuple(sorted({self._named(name, "--together", problems) for name in names}))
        what = ""
        if len(members) < 2:
            what = "names fewer than two components"
        elif any(member in self.subjects and not _hosted(self.subjects[member]) for member in members):
            what = "has a component with a native backend, which shares no process"
        if what:
            problems.add(
                "profile", f"--together {','.join(names)}", what, "name two or more that Python hosts"
            )
        return members

    def _named(self, name: str, option: str, problems: Problems) -> str:
        full = self.names.get(name)
        if full is None:
            fix = choose_name(name, self.names, "name a component of the models")
            problems.add("profile", f"{option} {name}", "is no component of the models", fix)
        return full or name


def _points(
    subject: Subject, batches: Sequence[int], chosen: Mapping[float, list[Item]]
) -> tuple[Point, ...]:
    return tuple(
        Point(subject, batch, work, tuple(items)) for batch in batches for work, items in chosen.items()
    )


def _turn(limit: int, batches: Sequence[int]) -> int:
    return FIRST if limit == batches[0] else MOST if limit == batches[-1] else BETWEEN


def _hosted(subject: Subject) -> bool:
    return subject.served.hosting.host is not None


def _full(served: Served) -> str:
    return served.name.replace("__", "/", 1)


def _load(files: Sequence[File], problems: Problems) -> list[LoadedModel]:
    """The models, with one instance of each component: what is measured is one copy."""
    try:
        loaded = load_models(files)
    except UserError as error:
        problems.extend(error)
        problems.raise_if_any()
        raise
    for model in loaded:
        if not model.spec.request_types:
            what, fix = "declares no request type", "declare one, so that there are requests to measure with"
            problems.extend(UserError([Problem(str(model.file), "$.request_types", what, fix)]))
    return [_alone(model) for model in loaded]


def _alone(model: LoadedModel) -> LoadedModel:
    components = {
        name: replace(part, spec=part.spec.model_copy(update={"instances": 1}))
        for name, part in model.components.items()
    }
    return replace(model, components=components)


def _stated(workload: Workload | None, types: Mapping[str, str]) -> dict[tuple[str, str], float]:
    """The mean work by component (without its model) and full request type."""
    if workload is None:
        return {}
    return {
        (name, types.get(type_name, type_name)): work.mean
        for type_name, traffic in workload.request_types.items()
        for name, work in traffic.work.items()
    }
