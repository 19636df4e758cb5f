"""Where a plan wants requests to go: a plan's routes and its nodes' roles in, targets out.

A server knows all routes of the plan, so that any server takes any request. Targets of its own role have the
names of their units, those of another role `<unit>@<role>`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from corntriton.planner.plan import Plan, Stop
from corntriton.record.path import Path
from corntriton.repository.entry import entry_shares
from corntriton.repository.reasons import rates_hz
from corntriton.repository.roles import Role
from corntriton.repository.units import Unit, serving_name
from corntriton.runtime.settings import Route
from corntriton.spec.load import LoadedModel

_DIGITS = 9  # as in plan.json


@dataclass(frozen=True)
class Routing:
    """The routes as the servers of one role have them.

    Attributes:
        plan: The plan.
        role: Theirs.
        roles: All of them.
    """

    plan: Plan
    role: Role
    roles: Sequence[Role]

    @property
    def others(self) -> tuple[str, ...]:
        """The names of the other roles."""
        return tuple(role.name for role in self.roles if role.name != self.role.name)

    def routes(self, model: LoadedModel) -> dict[str, tuple[Route, ...]]:
        """The routes of each recorded path of a model; none for those that the plan does not have.

        Request types of one path cannot be told apart when a request comes, and share their routes. A share
        may be 0: such a route is only for when no other one can be gone.
        """
        found: dict[str, tuple[Route, ...]] = {}
        for name, path in model.paths.items():
            alike = [other for other, its_path in model.paths.items() if its_path == path]
            ways = self._merged(f"{model.name}/{other}" for other in alike)
            if ways:
                found[name] = tuple(self._entered(path, ways))
        return found

    def usual(self, names: Mapping[str, str]) -> dict[str, str]:
        """The target with most of each component's traffic, of the own role where that has the component.

        Args:
            names: The serving name of each component of a model.
        """
        usual = {}
        for component, name in names.items():
            holders = [
                (role.name == self.role.name, self._rate_hz(role, unit, name), self.target(role, unit.name))
                for role in self.roles
                for unit in role.units
                if name in unit.members
            ]
            if holders:
                usual[component] = max(holders, key=lambda holder: holder[:2])[2]
        return usual

    def target(self, role: Role, unit: str) -> str:
        """The name of the target that a unit of this name is on a role's servers."""
        return unit if role.name == self.role.name else f"{unit}@{role.name}"

    def is_elsewhere(self, target: str) -> bool:
        """Whether a target of a route is of another role."""
        return any(target.endswith(f"@{role}") for role in self.others)

    def types_here(self) -> list[str]:
        """The request types that a route leads to this role."""
        return [
            demand.name
            for demand in self.plan.demands
            if any(self.role.name in roles for roles in self._visited(demand.name))
        ]

    def crossed(self, request_type: str) -> list[str]:
        """The roles, sorted, that routes of a request type lead over which lead over several."""
        return sorted({role for roles in self._visited(request_type) if len(roles) > 1 for role in roles})

    def output_bytes(self, request_type: str, invocation: str, output: str) -> float | None:
        """What the profiles say of an output of an invocation of `model/type`; None if nothing."""
        demands = [each for each in self.plan.demands if each.name == request_type]
        for called in [each for demand in demands for each in demand.invocations if each.id == invocation]:
            for profile in self.plan.profiles.profiles:
                size = profile.outputs.get(output) if profile.component == called.component else None
                if size is not None:
                    return size.nbytes + size.nbytes_per_work * called.work.mean
        return None

    @cached_property
    def _home(self) -> Mapping[str, Role]:
        return {node: role for role in self.roles for node in role.nodes}

    def _visited(self, request_type: str) -> Iterator[set[str]]:
        """The roles that each route of a request type leads to."""
        for route in self.plan.routes_of(request_type):
            yield {self._home[stop.node].name for stop in route.stops.values()}

    def _rate_hz(self, role: Role, unit: Unit, name: str) -> float:
        if unit.executor is None:
            return 0.0
        return sum(
            rate
            for node in role.nodes
            for component, rate in rates_hz(self.plan, unit.executor, node).items()
            if serving_name(component) == name
        )

    def _merged(self, request_types: Iterator[str]) -> list[tuple[float, Mapping[str, _Place]]]:
        """Weight and stops of each way; nodes of one role are one place."""
        weights: dict[tuple[tuple[str, _Place], ...], float] = {}
        for request_type in request_types:
            for weight, stops in self._weighed(request_type):
                key = tuple(stops.items())
                weights[key] = weights.get(key, 0.0) + weight
        total = sum(weights.values())
        return [(weight / total, dict(key)) for key, weight in weights.items() if total]

    def _weighed(self, request_type: str) -> Iterator[tuple[float, Mapping[str, _Place]]]:
        """One with a choice of places becomes several, of equal weight."""
        demand = next((each for each in self.plan.demands if each.name == request_type), None)
        if demand is None:
            return
        for route in self.plan.routes_of(request_type):
            choices = {
                invocation.id: self._holders(route.stops[invocation.id], serving_name(invocation.component))
                for invocation in demand.invocations
            }
            ways = math.lcm(*(len(places) for places in choices.values()))
            for way in range(ways):
                stops = {name: places[way % len(places)] for name, places in choices.items()}
                yield demand.rate_hz * route.share / ways, stops

    def _holders(self, stop: Stop, name: str) -> list[_Place]:
        role = self._home[stop.node]
        held = [unit for unit in role.units if unit.executor == stop.executor and name in unit.members]
        return [_Place(role.name, self.target(role, unit.name)) for unit in held]

    def _entered(self, path: Path, ways: Sequence[tuple[float, Mapping[str, _Place]]]) -> Iterator[Route]:
        """The routes, as often as requests that come here are to take them."""
        first = path.invocations[0].id if path.invocations else ""
        homes = [stops[first].role if first in stops else self.role.name for _, stops in ways]
        shares: dict[str, float] = {}
        for home, (share, _) in zip(homes, ways, strict=True):
            shares[home] = shares.get(home, 0.0) + share
        entering = entry_shares(self.role.name, self.roles, shares)
        for home, (share, stops) in zip(homes, ways, strict=True):
            share_here = share / shares[home] * entering.get(home, 0.0) if shares[home] else 0.0
            targets = {name: place.target for name, place in stops.items()}
            yield Route(round(share_here, _DIGITS), targets)


@dataclass(frozen=True)
class _Place:
    """A target and the role it belongs to."""

    role: str
    target: str
