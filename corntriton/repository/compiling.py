"""Compiles what can be compiled of a model: its orchestrator's settings in; ensembles, and why not, out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from corntriton.repository.edges import Edge, Sizes, edges_of
from corntriton.repository.ensembles import Ensemble, private_ensemble, public_ensemble
from corntriton.repository.hosting import Backends
from corntriton.repository.obstacles import Reason, private_obstacle, public_obstacle
from corntriton.repository.ways import Way, ways
from corntriton.runtime.settings import OrchestratorSettings


@dataclass(frozen=True)
class CompiledWay:
    """What became of one route of a request type.

    Attributes:
        share: Of the type's requests.
        ensemble: What the orchestrator calls instead of the components; None where it replays step by step.
        not_compiled: Why it does that.
        edges: How tensors pass.
    """

    share: float
    ensemble: str | None
    not_compiled: Reason | None
    edges: tuple[Edge, ...]


@dataclass(frozen=True)
class CompiledType:
    """What became of one request type.

    Attributes:
        model: The model.
        request_type: The type.
        routes: Its ways; one where no plan was given.
        public: The ensemble that clients may call, on the way that has the largest share of those that
            stay on this server.
        not_public: Why there is none.
    """

    model: str
    request_type: str
    routes: tuple[CompiledWay, ...]
    public: str | None
    not_public: Reason | None


@dataclass(frozen=True)
class Compilation:
    """What became of a model.

    Attributes:
        settings: Of the orchestrator, which now calls ensembles too.
        ensembles: The private and the public ones.
        types: By request type.
    """

    settings: OrchestratorSettings
    ensembles: tuple[Ensemble, ...]
    types: tuple[CompiledType, ...]


def compile_model(
    settings: OrchestratorSettings, taken: Iterable[str], sizes: Callable[[str], Sizes], backends: Backends
) -> Compilation:
    """Compiles each recorded path, on each of its routes.

    Args:
        settings: Of the orchestrator, which calls components.
        taken: The names of other Triton models.
        sizes: What is known of sizes, by request type.
        backends: Of the server.
    """
    return _Compiler(settings, taken, sizes, backends).compile()


class _Compiler:
    def __init__(
        self,
        settings: OrchestratorSettings,
        taken: Iterable[str],
        sizes: Callable[[str], Sizes],
        backends: Backends,
    ) -> None:
        self._settings = settings
        self._taken = set(taken)
        self._sizes = sizes
        self._backends: Backends = backends
        self._private: dict[str, Ensemble] = {}
        self._public: list[Ensemble] = []

    def compile(self) -> Compilation:
        found = {name: ways(self._settings, name) for name in self._settings.paths}
        private = {name: [self._compile(name, way) for way in routes] for name, routes in found.items()}
        types = tuple(self._type(name, routes, private[name]) for name, routes in found.items())
        ensembles = [*self._private.values()]
        settings = replace(
            self._settings,
            targets={**self._settings.targets, **{each.name: each.target() for each in ensembles}},
            compiled={
                name: [each.route() if each else None for each in made] for name, made in private.items()
            },
        )
        return Compilation(settings, (*ensembles, *self._public), types)

    def _compile(self, request_type: str, way: Way) -> Ensemble | None:
        """Types that differ in their guards only share their ensemble."""
        if private_obstacle(way, self._backends):
            return None
        key = repr((way.path.invocations, way.path.outputs, way.stops))
        if key not in self._private:
            name = self._free_name(f"{self._settings.model.name}__{request_type}__path")
            self._private[key] = private_ensemble(name, way)
        return self._private[key]

    def _type(self, name: str, routes: list[Way], private: list[Ensemble | None]) -> CompiledType:
        model, sizes = self._settings.model.name, self._sizes(name)
        compiled = tuple(
            CompiledWay(
                way.share,
                made.name if made else None,
                private_obstacle(way, self._backends),
                edges_of(way, made is not None, sizes),
            )
            for way, made in zip(routes, private, strict=True)
        )
        usual = max(routes, key=lambda way: (way.is_here, way.share))
        reason = public_obstacle(usual)
        if reason is None:
            self._public.append(public_ensemble(f"{model}.{name}", usual))
        return CompiledType(model, name, compiled, None if reason else f"{model}.{name}", reason)

    def _free_name(self, stem: str) -> str:
        name, number = stem, 1
        while name in self._taken:
            number += 1
            name = f"{stem}__{number}"
        self._taken.add(name)
        return name
