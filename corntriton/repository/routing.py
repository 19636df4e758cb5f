"""Where an orchestrator sends each invocation: a plan's routes and a node's units in, targets out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from corntriton.planner.plan import Plan
from corntriton.planner.plan import Route as PlannedRoute
from corntriton.record.path import Path
from corntriton.repository.reasons import rates_hz
from corntriton.repository.units import Unit, serving_name
from corntriton.runtime.settings import Route
from corntriton.spec.load import LoadedModel

_DIGITS = 9  # as in plan.json


@dataclass(frozen=True)
class Routing:
    """The routes of one node.

    Attributes:
        plan: The plan.
        node: The node.
        units: What it serves.
    """

    plan: Plan
    node: str
    units: Sequence[Unit]

    def routes(self, model: LoadedModel) -> dict[str, tuple[Route, ...]]:
        """The routes of each recorded path of a model; none for those that have none here.

        Request types of one path cannot be told apart when a request comes, and share their routes.
        """
        found: dict[str, tuple[Route, ...]] = {}
        for name, path in model.paths.items():
            alike = [other for other, its_path in model.paths.items() if its_path == path]
            weighed = [each for other in alike for each in self._weighed(f"{model.name}/{other}", path)]
            total = sum(weight for weight, _ in weighed)
            if total:
                found[name] = tuple(Route(round(weight / total, _DIGITS), stops) for weight, stops in weighed)
        return found

    def usual(self, names: Mapping[str, str]) -> dict[str, str]:
        """The unit with most of each component's traffic here.

        Args:
            names: The serving name of each component of a model.
        """
        usual = {}
        for component, name in names.items():
            holders = [unit for unit in self.units if name in unit.members]
            if holders:
                usual[component] = max(holders, key=lambda unit: self._rate_hz(unit, name)).name
        return usual

    def types_here(self) -> list[str]:
        """The request types that have a route on this node."""
        return [demand.name for demand in self.plan.demands if any(self._here(demand.name))]

    def output_bytes(self, request_type: str, invocation: str, output: str) -> float | None:
        """What the profiles say of an output of an invocation of `model/type`; None if nothing."""
        demands = [each for each in self.plan.demands if each.name == request_type]
        for called in [each for demand in demands for each in demand.invocations if each.id == invocation]:
            for profile in self.plan.profiles.profiles:
                size = profile.outputs.get(output) if profile.component == called.component else None
                if size is not None:
                    return size.nbytes + size.nbytes_per_work * called.work.mean
        return None

    def _rate_hz(self, unit: Unit, name: str) -> float:
        if unit.executor is None:
            return 0.0
        rates = rates_hz(self.plan, unit.executor, self.node)
        return next(rate for component, rate in rates.items() if serving_name(component) == name)

    def _here(self, request_type: str) -> Iterator[PlannedRoute]:
        for route in self.plan.routes_of(request_type):
            if all(stop.node == self.node for stop in route.stops.values()):
                yield route

    def _weighed(self, request_type: str, path: Path) -> Iterator[tuple[float, dict[str, str]]]:
        """Weight and stops of each way; one with a choice of places becomes several, of equal weight."""
        demand = next((each for each in self.plan.demands if each.name == request_type), None)
        if demand is None:
            return
        for route in self._here(request_type):
            choices = {
                invocation.id: self._holders(
                    route.stops[invocation.id].executor, serving_name(invocation.component)
                )
                for invocation in demand.invocations
            }
            ways = math.lcm(*(len(units) for units in choices.values()))
            for way in range(ways):
                stops = {name: units[way % len(units)] for name, units in choices.items()}
                yield demand.rate_hz * route.share / ways, stops

    def _holders(self, executor: str, name: str) -> list[str]:
        return [unit.name for unit in self.units if unit.executor == executor and name in unit.members]
