"""The paths that requests take: facts go in, a path on one of its routes comes out, ready to replay."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, Protocol

from corntriton.record.cache import PathCache
from corntriton.record.facts import Facts
from corntriton.record.flow import Flow
from corntriton.record.path import Path
from corntriton.runtime.compiled import CompiledPath, compile_fused
from corntriton.runtime.routing import NotServedError, Router
from corntriton.runtime.settings import OrchestratorSettings


class Others(Protocol):
    """The servers of other roles."""

    @property
    def down(self) -> frozenset[str]:
        """The roles of which no server is up."""

    def why_down(self, role: str) -> str:
        """For the client of a request that needs one of them."""


class Paths:
    """Those of one orchestrator.

    Args:
        settings: Its.
        flow: Says which path facts lead to, where nobody knows yet.
        router: Draws the routes.
        streams: Clients take each output when it is there.
        on_recorded: Called for each path that was not known at build time.
        others: None where all targets are on this server.
    """

    def __init__(
        self,
        settings: OrchestratorSettings,
        flow: Flow,
        router: Router,
        streams: bool,
        on_recorded: Callable[[], None],
        others: Others | None = None,
    ) -> None:
        self._cache = PathCache(flow, settings.model, settings.max_paths)
        for name, path in settings.paths.items():
            self._cache.preload(name, path)
        self._settings = settings
        self._router = router
        self._streams = streams
        self._on_recorded = on_recorded
        self._others = others
        self._known: OrderedDict[tuple[int, int], _Known] = OrderedDict()

    def find(self, facts: Facts) -> tuple[str, CompiledPath]:
        """The path's name, and the path on a route that it draws.

        Raises:
            UserError: The flow cannot be recorded with these facts.
            NotServedError: No server has a component that it visits, or none that has it is up.
        """
        name, path = self._cache.get(facts)
        down = self._others.down if self._others is not None else frozenset()
        number = self._router.draw(name, down)
        place = id(path), number  # the cache gives the same object as long as it keeps the path
        known = self._known.get(place) or self._compile(name, path, number)
        if self._others is not None and (missing := known.roles & down):
            raise NotServedError(self._others.why_down(min(missing)))
        return name, known.compiled

    def _compile(self, name: str, path: Path, number: int) -> _Known:
        if name not in self._settings.paths and name not in self._names():
            self._on_recorded()
        # A client that streams gets each output when it is there, not all at the end.
        whole = None if self._streams else self._router.compiled(name, number)
        compiled = compile_fused(name, whole or self._router.fused(name, path, number))
        roles = self._router.roles(step.target for step in compiled.steps)
        known = self._known[id(path), number] = _Known(path, compiled, roles)
        if len(self._known) > 2 * self._settings.max_paths:
            self._known.popitem(last=False)
        return known

    def _names(self) -> set[str]:
        return {known.compiled.name for known in [*self._known.values()]}


class _Known(NamedTuple):
    """A path on one of its routes.

    Attributes:
        path: Kept alive, as it is known by its id.
        compiled: It, ready to replay.
        roles: Of the other servers that it leads over.
    """

    path: Path
    compiled: CompiledPath
    roles: frozenset[str]
