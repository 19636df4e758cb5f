"""Which invocations become one call: all that wait for the same, and no more."""

from __future__ import annotations

import json
from typing import Any

from corntriton.record.codec import path_from_json
from corntriton.record.path import Chunks, Const, Element, Input, Invocation, Items, Output, Path
from corntriton.record.signature import ModelSignature, Port, Signature
from corntriton.runtime.fusion import FusedPath, fuse
from corntriton.runtime.settings import Target

TEXT = Port("BYTES")
STEP = Signature({"x": TEXT, "z": Port("BYTES", optional=True)}, {"y": TEXT})
NAMES = "abcdef"
MODEL = ModelSignature(
    "m",
    Signature({"x": TEXT, "xs": Port("BYTES", list=True)}, {"y": TEXT}),
    {
        **dict.fromkeys(NAMES, STEP),
        "talk": Signature({"x": TEXT}, {"y": TEXT}, streaming=True),
        "list": Signature({"x": Port("BYTES", list=True)}, {"y": TEXT}),
    },
)
MEMBERS = {name: f"m__{name}" for name in MODEL.components}
TARGETS = {name: Target(name, False, 1, members=MEMBERS, stateful_members=("f",)) for name in "EF"}
TARGETS["alone"] = Target("alone", True, 1)


def step(name: str, **inputs: Any) -> Invocation:
    return Invocation(name, name.partition(".")[0], inputs)


def after(name: str) -> Output:
    return Output(name, "y")


def fused(stops: str, *invocations: Invocation, y: Any = None) -> FusedPath:
    """`stops` has a word for each invocation: the name of its target."""
    path = Path((), invocations, {"y": y or after(invocations[-1].id)})
    by_id = {each.id: stop for each, stop in zip(invocations, stops.split(), strict=True)}
    return fuse(path, MODEL, by_id, TARGETS)


def calls(result: FusedPath) -> list[tuple[str, str]]:
    return [(each.id, result.targets[each.id]) for each in result.path.invocations]


def inside(result: FusedPath, name: str) -> Path:
    return path_from_json(json.loads(result.groups[name].path.tobytes()))


def test_a_path_on_one_executor_is_one_call() -> None:
    elements = [step(f"a.{n}", x=Element("xs", n)) for n in range(3)]
    gathered = step("list", x=Items(tuple(after(each.id) for each in elements)))
    result = fused("E E E E E", *elements, gathered, step("talk", x=after("list")))
    assert calls(result) == [("a+list+talk", "E")]
    assert result.path.invocations[0].inputs == {str(n): Element("xs", n) for n in range(3)}
    assert result.path.outputs == {"y": Output("a+list+talk", "talk.y")}
    assert inside(result, "a+list+talk").invocations[0] == Invocation("a.0", "m__a", {"x": Input("0")})


def test_a_detour_over_another_executor_makes_two_calls() -> None:
    chain = [step("a", x=Input("x")), *(step(b, x=after(a)) for a, b in ("ab", "bc", "cd", "de"))]
    assert calls(fused("E E F E E", *chain)) == [("a+b", "E"), ("c.2", "F"), ("d+e", "E")]


def test_what_waits_for_nothing_elsewhere_does_not_wait_with_what_does() -> None:
    result = fused(
        "F E E E", step("a", x=Input("x")), step("b", x=Input("x")), step("c", x=after("b"), z=after("a")),
        step("d", x=after("b")), y=after("c"),
    )  # fmt: skip
    assert calls(result) == [("a.2", "F"), ("b+d", "E"), ("c.2", "E")]


def test_branches_that_wait_for_the_same_are_one_call() -> None:
    result = fused("alone E E", step("a", x=Input("x")), step("b", x=after("a")), step("c", x=after("a")))
    assert calls(result) == [("a", "alone"), ("b+c", "E")]
    assert result.path.invocations[1].inputs == {"0": after("a")}


def test_a_consumer_of_chunks_from_elsewhere_is_called_once_per_chunk() -> None:
    voice = step("f", x=Chunks(after("talk"), "tokens:1"), z=Const("loud"))
    result = fused("E F F", step("talk", x=Input("x")), voice, step("c", x=after("f")))
    assert calls(result) == [("talk.2", "E"), ("f.2", "F"), ("c.2", "F")]
    assert result.path.invocations[1].inputs == {"0": Chunks(Output("talk.2", "talk.y"), "tokens:1")}
    assert inside(result, "f.2").invocations[0].inputs == {"x": Input("0"), "z": Const("loud")}
    assert result.groups["f.2"].sequenced
    assert not result.groups["c.2"].sequenced


def test_a_consumer_of_chunks_in_the_same_executor_is_inside_the_call() -> None:
    result = fused("E E", step("talk", x=Input("x")), step("f", x=Chunks(after("talk"), "tokens:1")))
    assert calls(result) == [("talk+f", "E")]
    assert not result.groups["talk+f"].feeds


def test_outputs_that_another_call_waits_for_leave_at_once() -> None:
    result = fused("E E F", step("a", x=Input("x")), step("talk", x=after("a")), step("c", x=after("a")))
    assert result.groups["a+talk"].feeds
    assert result.groups["a+talk"].whole == {"a.y"}
