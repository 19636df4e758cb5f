"""Executors in plain Python: any path, split over executors in any way, gives what it gives as a whole."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corntriton.record.evaluate import evaluate
from corntriton.record.joining import join
from corntriton.record.path import Input, Invocation, Output, Path
from corntriton.record.signature import ModelSignature, Port, Signature
from corntriton.runtime import part
from corntriton.runtime.failures import CallError
from corntriton.runtime.parcel import pack
from corntriton.runtime.values import RefValue
from tests.runtime.replayed import PATIENCE_S
from tests.runtime.split import Local, Part, Split
from tests.runtime.test_replay import COMPONENTS, MODEL, VALUES, paths

ONE = Port("BYTES")
UNARY = Signature({"x": ONE}, {"y": ONE})


@st.composite
def splits(draw: st.DrawFn) -> tuple[Path, dict[str, str]]:
    path = draw(paths())
    stops = {each.id: draw(st.sampled_from(["E", "F", each.component])) for each in path.invocations}
    return path, stops


@pytest.mark.parametrize("large_bytes", [0, 16 * 1024], ids=["by ref", "inline"])
@settings(deadline=None, max_examples=100)
@given(split=splits(), streams=st.booleans())
def test_any_path_split_in_any_way_gives_what_running_it_directly_gives(
    large_bytes: int, split: Any, streams: bool
) -> None:
    path, stops = split
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(part, "_LARGE_BYTES", large_bytes)
        split_model = Split(MODEL, COMPONENTS)
        answer = split_model.start(path, stops, VALUES, streams)
        outputs = {name: _read(value) for name, value in answer.wait().items()}
    answer.pieces = [(name, _read(value)) for name, value in answer.pieces]
    split_model.context.owned.end()
    for name in dict.fromkeys(name for name, _ in answer.pieces):
        assert name not in outputs
        outputs[name] = join(
            [piece for key, piece in answer.pieces if key == name], MODEL.ports.outputs[name]
        )
    expected = evaluate(path, MODEL, VALUES, COMPONENTS)
    assert text(outputs) == text(expected, outputs if streams else None)


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [*map(_read, value)]
    return value.item if isinstance(value, RefValue) else value


def text(outputs: Mapping[str, Any], like: Mapping[str, Any] | None = None) -> dict[str, list[str]]:
    found = {name: [*_flat(value)] for name, value in outputs.items()}
    return {name: value for name, value in found.items() if like is None or name in like or value != [""]}


def _flat(value: Any) -> Iterator[str]:
    if isinstance(value, (list, np.ndarray)):
        for each in value:
            yield from _flat(each)
    else:
        yield value.decode() if isinstance(value, bytes) else value


def chain(*names: str) -> Path:
    """Each takes the one before."""
    sources = [Input("x"), *(Output(name, "y") for name in names)]
    invocations = [
        Invocation(name, name, {"x": source}) for name, source in zip(names, sources, strict=False)
    ]
    return Path((), tuple(invocations), {"y": sources[-1]})


def unary(*names: str) -> ModelSignature:
    return ModelSignature("m", Signature({"x": ONE}, {"y": ONE}), dict.fromkeys(names, UNARY))


def test_one_call_runs_a_whole_path_and_requests_are_joined_to_batches_inside() -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(inputs: dict[str, Any]) -> dict[str, str]:
        begun.set()
        assert go.wait(PATIENCE_S)
        return {"y": inputs["x"] + "b"}

    split = Split(unary("a", "b"), {"a": lambda inputs: {"y": inputs["x"] + "a"}, "b": slow}, max_batch=4)
    answers = [split.start(chain("a", "b"), {"a": "E", "b": "E"}, {"x": str(n)}) for n in range(3)]
    assert begun.wait(PATIENCE_S)
    while len(split.parts["a"].batches) < 3 and sum(split.parts["a"].batches) < 3:
        pass
    go.set()
    assert [text(answer.wait())["y"] for answer in answers] == [[f"{n}ab"] for n in range(3)]
    assert split.caller.calls == ["a+b"] * 3
    assert max(split.parts["b"].batches) > 1


def test_those_that_queue_for_a_member_keep_nobody_out_who_does_not_need_it() -> None:
    go = threading.Event()

    def slow(inputs: dict[str, Any]) -> dict[str, str]:
        assert go.wait(PATIENCE_S)
        return {"y": inputs["x"] + "b"}

    split = Split(unary("a", "b"), {"a": lambda inputs: {"y": inputs["x"] + "a"}, "b": slow})
    both = [split.start(chain("a", "b"), {"a": "E", "b": "E"}, {"x": str(n)}) for n in range(20)]
    lone = split.start(chain("a"), {"a": "E"}, {"x": "x"})
    assert text(lone.wait()) == {"y": ["xa"]}
    go.set()
    assert [text(answer.wait())["y"] for answer in both] == [[f"{n}ab"] for n in range(20)]
    assert {gate: each.in_flight for gate, each in split.engine.gates.items()} == {
        ("E", frozenset("ab")): 0,
        ("E", frozenset("a")): 0,
    }


def test_a_member_that_fails_is_named_and_the_others_are_not_called() -> None:
    def fail(inputs: dict[str, Any]) -> dict[str, str]:
        raise ValueError("no")

    split = Split(unary("a", "b"), {"a": fail, "b": fail})
    with pytest.raises(CallError, match=r"^component a: ValueError: no$"):
        split.start(chain("a", "b"), {"a": "E", "b": "E"}, {"x": ""}).wait()
    assert split.parts["b"].batches == []


def test_what_another_executor_needs_leaves_before_the_call_is_through() -> None:
    heard = threading.Event()

    def wait(inputs: dict[str, Any]) -> dict[str, str]:
        assert heard.wait(PATIENCE_S), "the other executor was not called meanwhile"
        return {"y": "late"}

    def hear(inputs: dict[str, Any]) -> dict[str, str]:
        heard.set()
        return {"y": inputs["x"].upper()}

    model = ModelSignature("m", Signature({"x": ONE}, {"y": ONE, "z": ONE}), dict.fromkeys("abc", UNARY))
    split = Split(model, {"a": lambda inputs: {"y": inputs["x"]}, "b": wait, "c": hear})
    fork = [
        Invocation("a", "a", {"x": Input("x")}),
        Invocation("b", "b", {"x": Output("a", "y")}),
        Invocation("c", "c", {"x": Output("a", "y")}),
    ]
    path = Path((), tuple(fork), {"y": Output("b", "y"), "z": Output("c", "y")})
    answer = split.start(path, {"a": "E", "b": "E", "c": "F"}, {"x": "x"})
    assert text(answer.wait()) == {"y": ["late"], "z": ["X"]}


def test_a_member_may_write_to_its_inputs_and_reuse_its_outputs() -> None:
    class Scribble:
        def __init__(self) -> None:
            self.memory = np.zeros(2, np.float32)

        def __call__(self, items: list[Any]) -> list[Any]:
            x = items[0]["x"]
            x += 1
            self.memory[:] = x
            return [{"y": self.memory}]

    port = Port("FP32", (2,))
    model = ModelSignature("m", Signature({}, {}), {"a": Signature({"x": port}, {"y": port})})
    local = Local(model, {"a": Scribble()}, 1)
    steps = [
        {"id": "a", "component": "m/a", "inputs": {"x": {"input": "0"}}, "over": None},
        {"id": "b", "component": "m/a", "inputs": {"x": {"output": "y", "of": "a"}}, "over": None},
        {"id": "c", "component": "m/a", "inputs": {"x": {"output": "y", "of": "a"}}, "over": None},
    ]
    outputs = {name: {"output": "y", "of": name} for name in "abc"}
    path = json.dumps({"guards": [], "invocations": steps, "outputs": outputs}).encode()
    values = {"path": np.frombuffer(path, np.uint8), "0": np.zeros(2, np.float32)}
    [got] = local.call(pack(values, {"streams": False}))
    assert {name: value.tolist() for name, value in got.items()} == {"a": [1, 1], "b": [2, 2], "c": [2, 2]}


@pytest.mark.parametrize(
    "parcel",
    [
        np.zeros(3, np.uint8),
        pack({}),
        pack({"path": np.frombuffer(b"nothing", np.uint8)}),
        pack(
            {"path": np.frombuffer(b'{"guards": [], "invocations": [], "outputs": {}}', np.uint8)},
            {"sequence": 1},
        ),
    ],
)
def test_calls_that_somebody_made_up_are_refused(parcel: Any) -> None:
    local = Local(unary("a"), {"a": Part(UNARY, lambda inputs: {"y": ""})}, 1)
    with pytest.raises(CallError) as caught:
        list(local.call(parcel))
    assert caught.value.code == "INVALID_ARG"


def test_a_cancelled_call_goes_no_further() -> None:
    def cancel(inputs: dict[str, Any]) -> dict[str, str]:
        for slot in range(len(executor.flags)):
            executor.flags[slot] = 1
        return {"y": ""}

    split = Split(unary("a", "b"), {"a": cancel, "b": lambda inputs: {"y": ""}})
    executor = split.caller._executors["E"]
    with pytest.raises(CallError, match="cancelled") as caught:
        split.start(chain("a", "b"), {"a": "E", "b": "E"}, {"x": ""}).wait()
    assert caught.value.code == "CANCELLED"
    assert split.parts["b"].batches == []
