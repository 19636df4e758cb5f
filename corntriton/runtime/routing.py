"""Which target runs each invocation: a flat path goes in, and comes out fused for one of its routes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate, count

from corntriton.record.path import Path
from corntriton.runtime.failures import RequestError
from corntriton.runtime.fusion import FusedPath, fuse
from corntriton.runtime.settings import OrchestratorSettings, Route

_GOLDEN_RATIO = (5**0.5 - 1) / 2


class NotServedError(RequestError):
    """The request visits a component that this server does not have."""

    code = "UNAVAILABLE"


class Router:
    """The routes of one orchestrator.

    A request draws a route once, when it begins, and keeps it from end to end. Paths that the plan does not
    know go where each component has most of its traffic.
    """

    def __init__(self, settings: OrchestratorSettings) -> None:
        self._settings = settings
        self._shares = {
            path: [*accumulate(route.share for route in routes)] for path, routes in settings.routes.items()
        }
        self._roles = {
            path: [self.roles(route.stops.values()) for route in routes]
            for path, routes in settings.routes.items()
        }
        self._turns = count()

    def draw(self, path: str, down: frozenset[str] = frozenset()) -> int:
        """The number of a route of the path, each as often as its share says and evenly spread.

        Args:
            path: Its name.
            down: Roles of which no server is up; routes over them are left out while there are others.
        """
        shares = self._shares.get(path)
        if not shares or len(shares) == 1:
            return 0
        if down:
            shares = self._shares_without(path, down)
        # Multiples of the golden ratio spread evenly over a circle; a random number would make clusters.
        turn = next(self._turns) * _GOLDEN_RATIO % 1.0
        return min(bisect_right(shares, turn * shares[-1]), len(shares) - 1)

    def roles(self, targets: Iterable[str]) -> frozenset[str]:
        """The roles of the other servers that have these targets."""
        known = self._settings.targets
        return frozenset(known[name].server for name in targets if name in known) - {""}

    def is_served(self, down: frozenset[str]) -> bool:
        """Whether each request type has a route whose servers are up."""
        return all(any(not roles & down for roles in routes) for routes in self._roles.values())

    def compiled(self, name: str, number: int) -> FusedPath | None:
        """The path as the one call that stands for it on this route; None where there is none."""
        routes = self._settings.compiled.get(name)
        route = routes[number] if routes else None
        if route is None:
            return None
        model = self._settings.model
        model = replace(model, components={**model.components, route.target: route.signature})
        return FusedPath(route.path, model, {}, {})

    def fused(self, name: str, flat: Path, number: int) -> FusedPath:
        """The path with the targets of its route.

        Raises:
            NotServedError: One of its components has no target here.
        """
        routes = self._settings.routes.get(name)
        stops = stops_of(self._settings, flat, routes[number] if routes else None)
        for invocation in flat.invocations:
            if invocation.id not in stops:
                what = f"the component {invocation.component} is not on this server"
                raise NotServedError(f"{what}; another one may have it")
        return fuse(flat, self._settings.model, stops, self._settings.targets)

    def _shares_without(self, path: str, down: frozenset[str]) -> list[float]:
        """Those of the routes that are left; some have a share only when there is nothing else."""
        left = [not roles & down for roles in self._roles[path]]
        shares = [
            route.share * usable for route, usable in zip(self._settings.routes[path], left, strict=True)
        ]
        if any(shares):
            return [*accumulate(shares)]
        return [*accumulate(map(float, left))] if any(left) else self._shares[path]


def stops_of(settings: OrchestratorSettings, path: Path, route: Route | None) -> dict[str, str]:
    """The target of each invocation of a path, recorded or flat; none for what this server does not have.

    Args:
        settings: The orchestrator's.
        path: The path.
        route: The way that a plan has for it; None where there is none.
    """
    planned = route.stops if route is not None else {}
    stops = {}
    for invocation in path.invocations:
        recorded_id = invocation.id.partition("[")[0]  # of a mapped one, without its number
        usual = settings.usual.get(invocation.component, invocation.component)
        target = planned.get(recorded_id) or usual
        if target in settings.targets:
            stops[invocation.id] = target
    return stops
