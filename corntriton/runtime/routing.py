"""Which target runs each invocation: a flat path goes in, and comes out fused for one of its routes."""

from __future__ import annotations

from bisect import bisect_right
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
        self._turns = count()

    def draw(self, path: str) -> int:
        """The number of a route of the path, each as often as its share says and evenly spread."""
        shares = self._shares.get(path)
        if not shares or len(shares) == 1:
            return 0
        # Multiples of the golden ratio spread evenly over a circle; a random number would make clusters.
        turn = next(self._turns) * _GOLDEN_RATIO % 1.0
        return min(bisect_right(shares, turn * shares[-1]), len(shares) - 1)

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
