"""Whether a plan fits the models that are built, and whether what it asks for can be built."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corntriton.errors import Problems
from corntriton.planner.demand import Demand
from corntriton.planner.plan import Executor, Plan, Route
from corntriton.repository.hosting import Backends
from corntriton.repository.served import Served
from corntriton.repository.units import serving_name
from corntriton.spec.load import LoadedModel, serving_names
from corntriton.spec.validation import choose

_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_AGAIN = "plan again with these models: corntriton plan"


def check_plan(
    plan: Plan,
    file: str,
    models: Sequence[LoadedModel],
    served: Mapping[str, Served],
    backends: Backends,
    problems: Problems,
) -> None:
    """Notes everything in which a plan and the models differ, and what cannot be built.

    Args:
        plan: The plan.
        file: Where it was read from, for messages.
        models: What is built.
        served: Their components, by serving name.
        backends: What the servers have.
        problems: Takes the notes.
    """
    checker = _Checker(plan, file, models, served, problems)
    for number, executor in enumerate(plan.executors):
        checker.check_executor(number, executor)
        if backends == "ngc":
            checker.check_spans(number, executor)
    for number, demand in enumerate(plan.demands):
        checker.check_demand(number, demand)
    for number, route in enumerate(plan.routes):
        checker.check_route(number, route)
    checker.check_names()


@dataclass(frozen=True)
class _Checker:
    plan: Plan
    file: str
    models: Sequence[LoadedModel]
    served: Mapping[str, Served]
    problems: Problems

    def check_executor(self, number: int, executor: Executor) -> None:
        for index, member in enumerate(executor.members):
            if serving_name(member.component) not in self.served:
                known = [name.replace("__", "/", 1) for name in self.served]
                place = f"executors[{number}].members[{index}].component"
                what = f"{member.component!r} is no component of these models"
                self._note(place, what, f"{choose(member.component, known, 'name its model')}, or {_AGAIN}")
        nodes = {node for node, _ in self.plan.cluster.all_nodes()}
        for node in {each.node for each in executor.instances} - nodes:
            self._note(f"executors[{number}].instances", f"{node!r} is no node of its cluster", _AGAIN)

    def check_names(self) -> None:
        """Several nodes get folders, and addresses in CORNTRITON_SERVERS, by their names."""
        nodes = {place.node for executor in self.plan.executors for place in executor.instances}
        for node in sorted(nodes) if len(nodes) > 1 else ():
            if not _NODE.fullmatch(node):
                fix = "write letters, digits, '.', '_' and '-', a letter or digit first, in cluster.yaml"
                self._note("cluster.nodes", f"{node!r} is no name that servers can be told apart by", fix)

    def check_spans(self, number: int, executor: Executor) -> None:
        """Only a process of ours can be given several GPUs."""
        if executor.devices_per_instance == 1:
            return
        for index, member in enumerate(executor.members):
            served = self.served.get(serving_name(member.component))
            if served is not None and served.hosting.host is None:
                what = f"spans {executor.devices_per_instance} devices, but Triton gives the backend one"
                fix = "host it in a class of yours with backend: python, or plan it with tensor_parallel 1"
                self._note(f"executors[{number}].members[{index}]", f"{member.component} {what}", fix)

    def check_demand(self, number: int, demand: Demand) -> None:
        model_name, _, request_type = demand.name.partition("/")
        model = next((model for model in self.models if model.name == model_name), None)
        if model is None or request_type not in model.paths:
            known = [f"{model.name}/{name}" for model in self.models for name in model.paths]
            fix = f"{choose(demand.name, known, 'name its model')}, or {_AGAIN}"
            self._note(f"demands[{number}]", f"{demand.name!r} is no request type of these models", fix)
            return
        names = serving_names(self.models)
        recorded = {
            each.id: names[model.name, each.component] for each in model.paths[request_type].invocations
        }
        for invocation in demand.invocations:
            if recorded.get(invocation.id) != serving_name(invocation.component):
                what = f"{demand.name} no longer has the invocation {invocation.id} of {invocation.component}"
                self._note(f"demands[{number}]", what, _AGAIN)
        if not any(self.plan.routes_of(demand.name)):
            self._note(f"demands[{number}]", f"{demand.name} has no route", _AGAIN)

    def check_route(self, number: int, route: Route) -> None:
        executors = {executor.name: executor for executor in self.plan.executors}
        demand = next((each for each in self.plan.demands if each.name == route.request_type), None)
        place = f"routes[{number}]"
        if demand is None:
            self._note(place, f"{route.request_type!r} is no request type of the plan", _AGAIN)
            return
        for invocation in demand.invocations:
            stop = route.stops.get(invocation.id)
            executor = executors.get(stop.executor) if stop else None
            if stop is None or executor is None or not executor.count_on(stop.node):
                self._note(place, f"has no executor for {invocation.id}", _AGAIN)
            elif invocation.component not in executor.components:
                self._note(place, f"sends {invocation.id} to {executor.name}, which lacks it", _AGAIN)

    def _note(self, place: str, what: str, fix: str) -> None:
        self.problems.add(self.file, f"$.{place}", what, fix)
