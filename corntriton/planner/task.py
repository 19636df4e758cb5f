"""What a plan is made from: models, workload, cluster and profiles in, checked; a Task out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path as File
from typing import TypeVar

from corntriton.errors import Problems, UserError
from corntriton.planner.curves import Library
from corntriton.planner.demand import ComponentFacts, Demand
from corntriton.planner.names import Names, named_hints, named_profiles
from corntriton.planner.paths import Numbers, answers_of, edges_of, invocations_of
from corntriton.record import path as recorded
from corntriton.spec.cluster import Cluster, read_cluster
from corntriton.spec.load import LoadedModel, load_models
from corntriton.spec.profiles import Profiles, read_profiles
from corntriton.spec.validation import choose
from corntriton.spec.workload import Traffic, Work, Workload, read_workload

_SIZES = {"BOOL": 1, "UINT8": 1, "INT8": 1, "UINT16": 2, "INT16": 2, "FP16": 2, "BF16": 2,
          "UINT32": 4, "INT32": 4, "FP32": 4, "UINT64": 8, "INT64": 8, "FP64": 8}  # fmt: skip


@dataclass(frozen=True)
class Task:
    """Everything that a plan is made from; all names are `model/component` and `model/type`.

    Attributes:
        demands: One for each request type that has a share.
        components: Facts about the components that are visited.
        files: Where workload, cluster and profiles came from, for messages.
    """

    demands: tuple[Demand, ...]
    components: Mapping[str, ComponentFacts]
    workload: Workload
    cluster: Cluster
    profiles: Profiles
    files: tuple[str, str, str] = ("workload", "cluster", "profiles")

    @property
    def library(self) -> Library:
        """Times and sizes."""
        return Library(self.profiles.profiles)


def read_task(models: Iterable[File | str], workload: str, cluster: str, profiles: str) -> Task:
    """Reads and checks everything.

    Raises:
        UserError: With every problem of every file.
    """
    problems = Problems()
    loaded: list[LoadedModel] = []
    try:
        loaded = load_models(models)
    except UserError as error:
        problems.extend(error)
    read = (
        read_workload(workload, problems),
        read_cluster(cluster, problems),
        read_profiles(profiles, problems),
    )
    problems.raise_if_any()
    traffic, nodes, measured = read
    assert traffic is not None  # else there were problems
    assert nodes is not None
    assert measured is not None
    return _Joiner(loaded, traffic, nodes, measured, (workload, cluster, profiles)).task()


class _Joiner:
    """Joins what was read, and notes what does not fit together."""

    def __init__(
        self,
        models: Sequence[LoadedModel],
        workload: Workload,
        cluster: Cluster,
        profiles: Profiles,
        files: tuple[str, str, str],
    ) -> None:
        self._models = {model.name: model for model in models}
        self._names = Names(models)
        self._problems = Problems()
        self._files = files
        self._workload_file, _, self._profiles_file = files
        self._cluster = cluster
        hints = named_hints(workload.hints, self._names, cluster, files[0], self._problems)
        self._workload = workload.model_copy(update={"hints": hints})
        self._profiles = named_profiles(profiles, self._names, files[2], self._problems)
        self._library = Library(self._profiles.profiles)

    def task(self) -> Task:
        """The task; UserError with all that does not fit."""
        demands = tuple(self._demands())
        visited = sorted({i.component for demand in demands for i in demand.invocations})
        self._check_profiles(visited)
        self._problems.raise_if_any()
        facts = {name: self._names.facts[name] for name in visited}
        types = {self._names.type[name]: t for name, t in self._workload.request_types.items()}
        arrivals = tuple((time, self._names.type[name]) for time, name in self._workload.arrivals)
        workload = self._workload.model_copy(update={"request_types": types, "arrivals": arrivals})
        return Task(demands, facts, workload, self._cluster, self._profiles, self._files)

    def _check_profiles(self, visited: Iterable[str]) -> None:
        """Notes visited components that no profile tells anything about, on no device of this cluster."""
        for component in visited:
            devices = {setting.device for setting in self._library.settings(component)}
            if not devices & set(self._cluster.devices):
                where = f"for {', '.join(sorted(devices))} only" if devices else "at all"
                what = f"hold nothing about {component} {where}"
                fix = f"measure it (corntriton profile) on one of {', '.join(self._cluster.devices)}"
                self._problems.add(self._profiles_file, "$.profiles", what, fix)

    def _demands(self) -> Iterator[Demand]:
        assert self._workload.rate_hz is not None  # the reader filled it in
        for name, traffic in self._workload.request_types.items():
            full = self._names.type.get(name)
            if full is None:
                fix = choose(name, self._names.type, "declare it under request_types in model.yaml")
                self._note(f"$.request_types.{name}", "is no request type of the models", fix)
            elif traffic.share:
                yield self._demand(full, traffic, self._workload.rate_hz * traffic.share, name)

    def _demand(self, full: str, traffic: Traffic, rate_hz: float, written: str) -> Demand:
        model = self._models[full.partition("/")[0]]
        path = model.paths[full.partition("/")[2]]
        self._check_keys(path, traffic, written)
        numbers = Numbers(
            model.facts[full.partition("/")[2]].counts,
            lambda name: self._names.component[f"{model.name}/{name}"],
            partial(self._work, model.name, traffic, written),
            lambda invocation: _said(traffic.chunks, invocation) or 1,
            self._output_bytes,
        )
        invocations = invocations_of(path, numbers)
        edges = edges_of(path, invocations, numbers)
        return Demand(full, rate_hz, invocations, edges, answers_of(path, invocations), traffic.targets)

    def _check_keys(self, path: recorded.Path, traffic: Traffic, written: str) -> None:
        """Notes work and chunks of what the path does not visit."""
        known = {name for i in path.invocations for name in (i.id, i.component)}
        for field, given in (("work", traffic.work), ("chunks", traffic.chunks)):
            for name in given:
                if name not in known:
                    place = f"$.request_types.{written}.{field}.{name}"
                    fix = choose(name, sorted(known), "remove it")
                    self._note(place, "is neither a component nor an invocation of its path", fix)

    def _work(self, model: str, traffic: Traffic, written: str, invocation: recorded.Invocation) -> Work:
        """As stated; else the only work that the component was ever measured with."""
        said = _said(traffic.work, invocation)
        if said is not None:
            return said
        component = self._names.component[f"{model}/{invocation.component}"]
        works = {work for curve in self._library.all_of(component) for work in curve.works}
        if len(works) > 1:
            unit = self._profiles.work_units.get(component, "in the unit of its profile")
            what = f"does not say how much work {invocation.component} has, which was measured with several"
            fix = f"add {invocation.component}: and its work ({unit})"
            self._note(f"$.request_types.{written}.work", what, fix)
        return Work(mean=works.pop() if works else 1.0)

    def _output_bytes(self, component: str, output: str, work: float) -> float:
        """As profiled; else what fixed dims make it; else nothing: texts and labels are small."""
        for curve in self._library.all_of(component):
            size = curve.profile.outputs.get(output)
            if size:
                return size.nbytes + size.nbytes_per_work * work
        port = self._names.signature[component].outputs[output]
        fixed = port.dtype in _SIZES and all(dim > 0 for dim in port.dims)
        return float(prod(port.dims) * _SIZES[port.dtype]) if fixed else 0.0

    def _note(self, place: str, what: str, fix: str) -> None:
        self._problems.add(self._workload_file, place, what, fix)


Said = TypeVar("Said")


def _said(by_name: Mapping[str, Said], invocation: recorded.Invocation) -> Said | None:
    """What is said of an invocation: under its own name, else under its component's."""
    return by_name.get(invocation.id, by_name.get(invocation.component))
