"""Each reason for which a path is no ensemble, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from corntriton.record.path import Chunks, Const, Element, Input, Invocation, Items, Output, Path, Spread
from corntriton.repository.obstacles import private_obstacle, public_obstacle
from tests.repository.compiled_paths import calls, target, way_of

GROWN, MIXED, JOINED = Output("grow", "y"), Output("mix", "y"), Output("join", "y")
GROW = ("grow", {"x": Input("x")})
MIX = ("mix", {"a": GROWN})
CHAIN = calls(GROW, MIX, y=MIXED)
EXECUTOR = target("grow", members={"grow": "m__grow", "mix": "m__mix"})


def mapped() -> Path:
    each = Invocation("grow", "grow", {"x": Element("xs")}, "xs")
    join = Invocation("join", "join", {"items": Items((Spread("xs", (GROWN,)),))})
    return Path((), (each, join), {"y": Output("join", "y")})


# Of an ensemble of either sort: the rule, words of the text, the path, targets of its own.
BOTH: list[tuple[str, str, Path, dict[str, Any]]] = [
    ("elsewhere", "mix is on another server, far", CHAIN, {"mix": target("mix", server="far")}),
    ("streams", "sing", calls(GROW, ("sing", {"text": Output("grow", "size")}), y=GROWN), {}),
    ("state", "mix", CHAIN, {"mix": target("mix", stateful=True)}),
    ("chunks", "mix", calls(GROW, ("mix", {"a": Chunks(GROWN, "samples:4")}), y=MIXED), {}),
    ("map", "how many xs", mapped(), {}),
    ("executor", "m__grow", CHAIN, {"grow": EXECUTOR}),
    ("one call", "grow", calls(GROW, y=GROWN), {}),
    ("one call", "no component", calls(y=Input("x")), {}),
    ("list of outputs", "join.items", calls(GROW, ("join", {"items": Items((GROWN,))}), y=JOINED), {}),
    ("unused", "mix", calls(GROW, MIX, y=GROWN), {}),
    ("no inputs", "mix", calls(GROW, ("mix", {}), y=MIXED, z=GROWN), {}),
    ("sizes", "four", calls(("fit", {"four": Input("four")}), ("exact", {"x": Input("four")}),
                            y=Output("fit", "y"), z=Output("exact", "y")), {}),
]  # fmt: skip
PUBLIC = [
    ("constant", "mix.n is a constant", calls(GROW, ("mix", {"a": GROWN, "n": Const(3)}), y=MIXED)),
    ("list", "join.items", calls(GROW, ("join", {"items": Items(())}), y=JOINED, z=GROWN)),
    ("element", "one element of xs", calls(GROW, ("mix", {"a": GROWN, "b": Element("xs", 0)}), y=MIXED)),
    ("answer", "z is not an output", calls(GROW, MIX, y=MIXED, z=Input("x"))),
    ("answer", "z and y are one tensor", calls(GROW, MIX, y=MIXED, z=MIXED)),
    ("name", "x is the name", calls(GROW, MIX, x=MIXED)),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "words", "path", "targets"), BOTH, ids=[case[0] for case in BOTH])
def test_what_no_ensemble_can_do_is_said(rule: str, words: str, path: Path, targets: dict[str, Any]) -> None:
    way = way_of(path, targets)
    reason = private_obstacle(way, "ngc")
    assert reason is not None
    assert reason.rule == rule
    assert words in reason.text
    assert public_obstacle(way) == reason


@pytest.mark.parametrize(("rule", "words", "path"), PUBLIC, ids=[case[0] for case in PUBLIC])
def test_what_only_the_orchestrator_can_supply_is_no_obstacle_for_it(
    rule: str, words: str, path: Path
) -> None:
    assert private_obstacle(way_of(path), "ngc") is None
    reason = public_obstacle(way_of(path))
    assert reason is not None
    assert reason.rule == rule
    assert words in reason.text


def test_tensors_that_may_have_to_pass_inline_cannot_be_compiled_to_refs() -> None:
    way = way_of(CHAIN, {"mix": target("mix", spills=True)})
    reason = private_obstacle(way, "ngc")
    assert reason is not None
    assert reason.rule == "spills"
    assert public_obstacle(way) is None


def test_branches_that_run_at_once_are_no_ensemble_on_a_server_that_loses_them() -> None:
    fork = calls(GROW, ("mix", {"a": GROWN}), ("mix.2", {"a": GROWN}), y=MIXED, z=Output("mix.2", "y"))
    reason = private_obstacle(way_of(fork), "embedded")
    assert reason is not None
    assert reason.rule == "parallel"
    assert "mix.2 and mix run at once" in reason.text
    assert private_obstacle(way_of(fork), "ngc") is None
    assert private_obstacle(way_of(CHAIN), "embedded") is None


def test_a_component_that_is_not_on_this_server_is_named() -> None:
    way = way_of(CHAIN, {}, grow="grow")
    absent = type(way)(way.share, way.path, way.model, {"grow": "grow"}, way.targets)
    reason = private_obstacle(absent, "ngc")
    assert reason is not None
    assert (reason.rule, reason.text) == ("absent", "mix is not on this server")


def test_optional_outputs_repeated_components_and_models_without_batches_are_none() -> None:
    path = calls(
        GROW,
        ("mix", {"a": GROWN}),
        ("mix.2", {"a": MIXED, "b": Output("mix", "maybe")}),
        y=Output("mix.2", "y"),
        z=Output("mix.2", "maybe"),
    )
    way = way_of(path, {"grow": target("grow", ref_outputs=())})
    assert private_obstacle(way, "ngc") is None
    assert public_obstacle(way) is None
