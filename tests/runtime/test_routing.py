from __future__ import annotations

from collections import Counter

from corntriton.record.path import Invocation, Output, Path
from corntriton.record.signature import ModelSignature, Port, Signature
from corntriton.runtime.routing import Router
from corntriton.runtime.settings import OrchestratorSettings, Route, Target

TEXT = Port("BYTES", (1,))
MODEL = ModelSignature(
    "m", Signature({}, {"y": TEXT}), {"a": Signature({}, {"y": TEXT}), "b": Signature({"x": TEXT}, {})}
)
PATH = Path((), (Invocation("a", "a", {}),), {"y": Output("a", "y")})
TARGETS = {
    "a": Target("m__a", False, 1),
    "a@far": Target("m__a", False, 1, server="far"),
    "a@off": Target("m__a", False, 1, server="off"),
}


def router(*shares: tuple[float, str]) -> Router:
    routes = tuple(Route(share, {"a": target}) for share, target in shares)
    return Router(OrchestratorSettings(MODEL, "f.py:f", TARGETS, {"p": PATH}, routes={"p": routes}))


def drawn(routes: Router, *down: str) -> dict[int, int]:
    """How often in a hundred times, to the nearest ten."""
    found = Counter(routes.draw("p", frozenset(down)) for _ in range(100))
    return {number: round(count, -1) for number, count in found.items()}


def test_routes_are_drawn_as_often_as_their_shares_say() -> None:
    found = drawn(router((0.5, "a"), (0.3, "a@far"), (0.2, "a@off"), (0.0, "a")))
    assert found == {0: 50, 1: 30, 2: 20}


def test_routes_over_roles_that_are_down_are_left_out() -> None:
    routes = router((0.4, "a"), (0.1, "a@far"), (0.5, "a@off"))
    assert drawn(routes, "off") == {0: 80, 1: 20}
    assert drawn(routes, "far", "off") == {0: 100}


def test_routes_without_a_share_are_for_when_nothing_else_is_left() -> None:
    routes = router((1.0, "a@far"), (0.0, "a@off"), (0.0, "a"))
    assert drawn(routes) == {0: 100}
    assert drawn(routes, "far") == {1: 50, 2: 50}
    assert drawn(routes, "far", "off") == {2: 100}


def test_a_model_is_served_while_each_path_has_a_route_left() -> None:
    routes = router((1.0, "a@far"), (0.0, "a@off"))
    assert routes.is_served(frozenset())
    assert routes.is_served(frozenset({"far"}))
    assert not routes.is_served(frozenset({"far", "off"}))
    assert router((1.0, "a")).is_served(frozenset({"far"}))


def test_targets_belong_to_roles_but_for_those_here() -> None:
    assert router((1.0, "a")).roles(TARGETS) == {"far", "off"}
    assert router((1.0, "a")).roles(["a"]) == frozenset()
