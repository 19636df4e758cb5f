"""`corntriton profile`: measures what a survey lists, on servers of its own; profiles come out."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path as File

import numpy as np

from corntriton.errors import CorntritonError, Problems
from corntriton.profiler import machine
from corntriton.profiler.bed import Bed
from corntriton.profiler.items import Item, Recorder
from corntriton.profiler.reading import Journal, Point, Reading
from corntriton.profiler.session import Session
from corntriton.profiler.steady import CRITERION
from corntriton.profiler.summary import Summary
from corntriton.profiler.survey import Setup, Survey
from corntriton.profiler.together import plan_of
from corntriton.repository.build import build
from corntriton.repository.hosting import Backends
from corntriton.serving.launch import Launcher
from corntriton.spec.profiles import Profile, Profiles, Provenance, read_profiles

# A point's time where no budget says otherwise, and what a budget may make of it.
_POINT_S, _SHORTEST_S, _LONGEST_S = 10.0, 0.5, 60.0


@dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes:
        works: Most works of a component that are measured.
        budget_s: The time there is in all; as much as it takes where it is None.
        device: The name of the device type; the CPU's or the GPU's own where it is None.
        backends: What the server has.
    """

    works: int = 4
    budget_s: float | None = None
    device: str | None = None
    backends: Backends = "embedded"


class Progress:
    """Told how far it is; does nothing by itself."""

    def stage(self, what: str) -> None:
        """Something without measurable progress begins."""

    def points(self, total: int) -> None:
        """The number of points is known."""

    def point(self, what: str) -> None:
        """A point begins."""

    def done(self) -> None:
        """A point is over, measured or failed."""


@dataclass
class Result:
    """What came of it.

    Attributes:
        profiles: What was written, older profiles of the file included.
        new: Those of them that were measured.
        readings: All that stand behind the new ones.
        measured: How many of the readings were taken now, and not in an earlier run.
        left: Points for which the budget did not reach.
        failures: What could not be measured, and why.
        missing: Components without any reading.
        replaced: Imported or assumed profiles that measurements took the place of.
    """

    profiles: Profiles | None
    new: list[Profile] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    measured: int = 0
    left: int = 0
    failures: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    replaced: list[Profile] = field(default_factory=list)


def profile(
    survey: Survey, output: File, launcher: Launcher, options: Options, progress: Progress | None = None
) -> Result:
    """Measures everything and writes the profiles; readings are kept in `<output>.partial` as they come.

    Args:
        survey: What to measure.
        output: Where the profiles go; what it holds of others stays.
        launcher: The server to measure on.
        options: How.
        progress: Is told how far it is.

    Raises:
        UserError: The output holds something else.
        CorntritonError: The server did not start, or an example failed.
    """
    old = _read_old(output)
    return _Profiler(survey, output, launcher, options, progress or Progress(), old).run()


def partial_file(output: File) -> File:
    """Where readings are kept until all are there."""
    return output.with_name(f"{output.name}.partial")


class _Profiler:
    def __init__(
        self,
        survey: Survey,
        output: File,
        launcher: Launcher,
        options: Options,
        progress: Progress,
        old: Profiles | None,
    ) -> None:
        self._survey = survey
        self._output = output
        self._launcher = launcher
        self._options = options
        self._progress = progress
        self._old = old
        self._began_s = time.monotonic()
        self._on_gpu = any(each.served.hosting.kind != "KIND_CPU" for each in survey.subjects.values())
        self._device = options.device or machine.device_name(self._on_gpu)
        self._machine = machine.describe(self._on_gpu)
        self._journal = Journal(partial_file(output))
        self._result = Result(None)
        self._version = ""

    def run(self) -> Result:
        with tempfile.TemporaryDirectory(prefix="corntriton-profile-") as folder:
            self._folder = File(folder)
            self._progress.stage("building")
            build(self._survey.models, self._folder / "alone", self._options.backends, link=True)
            items = self._items()
            setups = self._survey.setups(items, self._options.works)
            self._measure(setups)
        self._write(setups)
        return self._result

    def _items(self) -> dict[str, list[Item]]:
        """What components get: from examples, else made up."""
        with Bed(self._folder / "alone", self._launcher) as bed:
            self._version = bed.version
            subjects = self._survey.subjects
            recorder = Recorder(bed, subjects, self._survey.names, self._survey.count)
            for model, example in self._survey.worth():
                self._progress.stage(f"running {example.request_type}, {example.name}")
                recorder.run(model, example)
            wanted = {*self._survey.only, *(name for each in self._survey.sets for name in each)}
            for name in sorted(wanted):
                if not recorder.items[name]:
                    self._progress.stage(f"making up inputs of {name}")
                    recorder.fill(name)
        if not all(recorder.items[name] for name in wanted):
            self._result.failures += recorder.failures
        return recorder.items

    def _measure(self, setups: Sequence[Setup]) -> None:
        left = sum(len(self._todo(setup)) for setup in setups)
        self._progress.points(left)
        for setup in setups:
            todo = self._todo(setup)
            if not todo:
                continue
            if self._result.measured and self._is_spent():
                self._result.left += len(todo)
                continue
            try:
                self._measure_setup(setup, todo, left)
            except CorntritonError as error:
                self._result.failures.append(f"{' + '.join(setup.members)}: {error}")
            left -= len(todo)

    def _measure_setup(self, setup: Setup, todo: Sequence[Point], left: int) -> None:
        """Loads a Triton model on a server of its own, and measures the points that want it."""
        self._progress.point(f"loading {' + '.join(setup.members)}")
        together = len(setup.members) > 1
        folder = self._build_together(setup) if together else self._folder / "alone"
        with Bed(folder, self._launcher) as bed:
            session = Session(bed, self._on_gpu)
            session.load(todo, None if together else setup.batch)
            for done, point in enumerate(todo):
                self._progress.point(point.label)
                try:
                    self._journal.add(self._key(point), session.read(point, self._seconds(left - done)))
                    self._result.measured += 1
                except CorntritonError as error:
                    self._result.failures.append(f"{point.label}: {error}")
                self._progress.done()

    def _build_together(self, setup: Setup) -> File:
        folder = self._folder / f"{'-'.join(setup.members)}-{setup.batch}".replace("/", ".")
        members = [self._survey.subjects[member].served for member in setup.members]
        plan = plan_of(members, setup.batch, self._on_gpu)
        build(self._survey.models, folder, self._options.backends, link=True, plan=plan)
        return folder

    def _write(self, setups: Sequence[Setup]) -> None:
        result, survey = self._result, self._survey
        points = [point for setup in setups for point in setup.points]
        found = [self._journal.get(self._key(point)) for point in points]
        result.readings = [reading for reading in found if reading is not None]
        result.missing = self._missing(points)
        if result.readings:
            summary = Summary(survey.subjects, self._device, self._provenance(), survey.names)
            new = summary.profiles(result.readings)
            units = {name: survey.unit(survey.names[name]) for name in (each.component for each in new)}
            result.new = new
            result.replaced = summary.replaced(self._old, new)
            result.profiles = summary.merged(self._old, new, units)
            text = result.profiles.model_dump_json(indent=1, exclude_defaults=True)
            self._output.write_text(text + "\n", encoding="utf-8")
        if not (result.left or result.failures or result.missing):
            self._journal.remove()

    def _missing(self, points: Sequence[Point]) -> list[str]:
        seen = {(reading.component, reading.beside) for reading in self._result.readings}
        there = {name for name, beside in seen if not beside}
        wanted = {(point.subject.name, point.subject.beside) for point in points if point.subject.beside}
        lacking = [" beside ".join((name, ", ".join(beside))) for name, beside in sorted(wanted - seen)]
        return [*(name for name in self._survey.only if name not in there), *lacking]

    def _provenance(self) -> dict[bool, Provenance]:
        """By whether inputs were made up."""
        today = date.today().isoformat()
        others = [reading.others for reading in self._result.readings]
        shared = f"of which other programs took {np.median(others):.0%}, at most {max(others):.0%}"
        head = f"corntriton profile: tritonserver {self._version}; {self._machine}, {shared}; {CRITERION}"
        inputs = {False: "inputs from the model's examples", True: "made-up inputs, by dtype and dims"}
        return {
            made_up: Provenance(how="measured", source=f"{head}; {said}", when=today)
            for made_up, said in inputs.items()
        }

    def _todo(self, setup: Setup) -> list[Point]:
        return [point for point in setup.points if self._journal.get(self._key(point)) is None]

    def _key(self, point: Point) -> str:
        return point.key((self._device, self._machine, self._options.backends, self._version))

    def _seconds(self, left: int) -> float:
        """What a point may take, beyond the fewest runs."""
        if self._options.budget_s is None:
            return _POINT_S
        there_is_s = self._began_s + self._options.budget_s - time.monotonic()
        return min(_LONGEST_S, max(_SHORTEST_S, there_is_s / max(1, left)))

    def _is_spent(self) -> bool:
        budget_s = self._options.budget_s
        return budget_s is not None and time.monotonic() > self._began_s + budget_s


def _read_old(output: File) -> Profiles | None:
    if not output.exists():
        return None
    problems = Problems()
    old = read_profiles(str(output), problems)
    problems.raise_if_any()
    return old
