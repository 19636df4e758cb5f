"""The engine over plain Python: what it computes, in which order, on which threads, and how it ends."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corntriton.record.evaluate import evaluate
from corntriton.record.joining import join
from corntriton.record.path import Chunks, Const, Element, Input, Invocation, Items, Output, Path
from corntriton.record.signature import ModelSignature, Port, Signature
from corntriton.runtime.failures import MissingInputError
from tests.runtime.replayed import PATIENCE_S, Bench

TEXT, MAYBE, TEXTS = Port("BYTES"), Port("BYTES", optional=True), Port("BYTES", list=True)
MODEL = ModelSignature(
    "random",
    Signature({"text": TEXT, "texts": TEXTS}, {"one": MAYBE, "two": MAYBE, "all": TEXTS}),
    {
        "plain": Signature({"a": TEXT, "b": MAYBE}, {"out": TEXT, "other": TEXT, "seldom": MAYBE}),
        "gather": Signature({"items": TEXTS}, {"out": TEXT}),
        "say": Signature({"a": TEXT, "b": MAYBE}, {"out": TEXT}, streaming=True),
    },
)


def tell(name: str, inputs: dict[str, Any]) -> str:
    shown = ", ".join(f"{key}={_words(inputs[key])}" for key in sorted(inputs))
    return f"{name}({shown})"


def _words(value: Any) -> Any:
    """A stream that was empty is joined to an array; all else here is plain texts."""
    return value.item().decode() if isinstance(value, np.ndarray) else value


def plain(inputs: dict[str, Any]) -> dict[str, str]:
    text = tell("plain", inputs)
    return {"out": text, "other": "", **({"seldom": "rare"} if len(text) % 2 else {})}


def gather(inputs: dict[str, Any]) -> dict[str, str]:
    return {"out": tell("gather", inputs)}


def say(inputs: dict[str, Any]) -> list[dict[str, str]]:
    return [{"out": word + " "} for word in tell("say", inputs).split(" ")]


COMPONENTS = {"plain": plain, "gather": gather, "say": say}


@st.composite
def paths(draw: st.DrawFn) -> Path:
    """Any flat path: whole values, optional ones, lists, constants, chunks of streams and of whole values."""
    sources: list[Any] = [Input("text"), Element("texts", 0), Element("texts", 1), Const("constant")]
    maybe: list[Any] = []
    invocations: list[Invocation] = []
    for number in range(draw(st.integers(0, 7))):
        component = draw(st.sampled_from(["plain", "gather", "say"]))
        me = f"{component}.{number}"
        inputs: dict[str, Any]
        if component == "gather":
            inputs = {"items": Items(tuple(draw(st.lists(st.sampled_from(sources), max_size=3))))}
        else:
            source = draw(st.sampled_from(sources))
            chunked = not isinstance(source, Const) and draw(st.booleans())
            inputs = {
                "a": Chunks(source, draw(st.sampled_from(["tokens:1", "tokens:3"]))) if chunked else source
            }
            if draw(st.booleans()):
                inputs["b"] = draw(st.sampled_from(sources + maybe))
        invocations.append(Invocation(me, component, inputs))
        outputs = {"plain": ["out", "other"]}.get(component, ["out"])
        sources += [Output(me, output) for output in outputs]
        maybe += [Output(me, "seldom")] if component == "plain" else []
    ends: dict[str, Any] = {
        "one": draw(st.sampled_from(sources + maybe)),
        "two": draw(st.sampled_from(sources)),
    }
    ends["all"] = Items(tuple(draw(st.lists(st.sampled_from(sources), max_size=3))))
    return Path((), tuple(invocations), ends)


VALUES = {"text": "a b c", "texts": ["d", "e f"]}


@settings(deadline=None, max_examples=150)
@given(paths(), st.integers(1, 3), st.booleans())
def test_any_path_gives_what_running_it_one_by_one_gives(path: Path, limit: int, streams: bool) -> None:
    bench = Bench(MODEL, COMPONENTS, limit, {"plain"})
    _, answer = bench.start(path, VALUES, streams)
    outputs = answer.wait()
    for name in dict.fromkeys(name for name, _ in answer.pieces):
        assert name not in outputs
        outputs[name] = join(
            [piece for key, piece in answer.pieces if key == name], MODEL.ports.outputs[name]
        )
    assert shown(outputs) == shown(evaluate(path, MODEL, VALUES, COMPONENTS), outputs if streams else None)
    assert all(gate.in_flight == gate.waiting == 0 for gate in bench.engine.gates.values())


def shown(outputs: dict[str, Any], like: dict[str, Any] | None = None) -> dict[str, str]:
    """For comparison; of a stream that was empty a client has seen nothing, not even an empty text."""
    return {
        name: str(value)
        for name, value in outputs.items()
        if like is None or name in like or str(value) != "[b'']"
    }


def model(**components: Signature) -> ModelSignature:
    return ModelSignature("m", Signature({"x": TEXT}, {"y": TEXT}), components)


UNARY = Signature({"x": TEXT}, {"y": TEXT})
PAIR = Signature({"x": TEXT, "z": MAYBE}, {"y": TEXT})
STREAM = Signature({"x": TEXT}, {"y": TEXT}, streaming=True)


def invocation(name: str, **inputs: Any) -> Invocation:
    return Invocation(name, name.split(".")[0], inputs)


def path(*invocations: Invocation, y: Any = None) -> Path:
    return Path((), invocations, {"y": y or Output(invocations[-1].id, "y")})


def test_a_chain_stays_on_one_thread() -> None:
    bench = Bench(model(a=UNARY), {"a": lambda inputs: {"y": inputs["x"] + "a"}})
    chain = [invocation("a", x=Input("x"))]
    chain += [
        invocation(f"a.{n}", x=Output(chain[-1].id if n == 2 else f"a.{n - 1}", "y")) for n in range(2, 6)
    ]
    assert bench.run(path(*chain), {"x": "x"}) == {"y": "xaaaaa"}
    assert len({thread for _, _, thread in bench.caller.calls}) == 1


def test_branches_that_need_nothing_of_each_other_run_at_once() -> None:
    together = threading.Barrier(2, timeout=PATIENCE_S)

    def meet(inputs: dict[str, Any]) -> dict[str, Any]:
        together.wait()
        return {"y": inputs["x"]}

    bench = Bench(
        model(a=UNARY, b=UNARY, c=PAIR), {"a": meet, "b": meet, "c": lambda inputs: {"y": str(inputs)}}
    )
    fork = (invocation("a", x=Input("x")), invocation("b", x=Input("x")))
    joined = invocation("c", x=Output("a", "y"), z=Output("b", "y"))
    assert bench.run(path(*fork, joined), {"x": "x"}) == {"y": "{'x': 'x', 'z': 'x'}"}


def test_a_component_never_has_more_calls_at_once_than_its_limit_and_takes_the_others_in_order() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def busy(inputs: dict[str, Any]) -> dict[str, Any]:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.002)
        with lock:
            now -= 1
        return {"y": inputs["x"]}

    bench = Bench(model(a=UNARY), {"a": busy}, 3)
    one = path(invocation("a", x=Input("x")))
    answers = [bench.start(one, {"x": n})[1] for n in range(50)]
    assert [answer.wait()["y"] for answer in answers] == [*range(50)]
    assert most == 3


def test_the_first_failure_ends_the_request_and_what_waits_for_it_is_never_called() -> None:
    def fail(inputs: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("no")

    bench = Bench(model(a=UNARY, b=UNARY), {"a": fail, "b": lambda inputs: {"y": ""}})
    _, answer = bench.start(
        path(invocation("a", x=Input("x")), invocation("b", x=Output("a", "y"))), {"x": "x"}
    )
    with pytest.raises(ValueError, match="no"):
        answer.wait()
    assert [(step.id, str(error)) for step, error in answer.failures] == [("a", "no")]
    assert [name for name, _, _ in bench.caller.calls] == ["a"]


def test_a_request_ended_from_outside_frees_its_places_when_its_calls_return() -> None:
    begun, go = threading.Event(), threading.Event()

    def hang(inputs: dict[str, Any]) -> dict[str, Any]:
        begun.set()
        assert go.wait(PATIENCE_S)
        return {"y": inputs["x"]}

    bench = Bench(model(a=UNARY, b=UNARY), {"a": hang, "b": hang}, 1)
    two = path(invocation("a", x=Input("x")), invocation("b", x=Output("a", "y")))
    first, first_answer = bench.start(two, {"x": "first"})
    assert begun.wait(PATIENCE_S)
    waiting, waiting_answer = bench.start(two, {"x": "waiting"})
    _, last_answer = bench.start(two, {"x": "last"})
    for replay in (first, waiting):
        assert replay.fail(None, TimeoutError("late"))
        assert not replay.fail(None, TimeoutError("later"))
    for answer in (first_answer, waiting_answer):
        assert [str(error) for _, error in answer.failures] == ["late"]
    go.set()
    assert last_answer.wait() == {"y": "last"}
    assert {inputs["x"] for _, inputs, _ in bench.caller.calls} == {"first", "last"}


def test_a_consumer_of_chunks_works_while_its_producer_still_runs() -> None:
    heard = threading.Event()

    def speak(inputs: dict[str, Any]) -> Any:
        yield {"y": "one two "}
        assert heard.wait(PATIENCE_S), "nothing was consumed before the end"
        yield {"y": "three"}

    def hear(inputs: dict[str, Any]) -> dict[str, Any]:
        heard.set()
        return {"y": inputs["x"].strip().upper()}

    bench = Bench(model(a=STREAM, b=UNARY), {"a": speak, "b": hear})
    pipeline = (invocation("a", x=Input("x")), invocation("b", x=Chunks(Output("a", "y"), "tokens:1")))
    _, answer = bench.start(path(*pipeline), {"x": "x"}, streams=True)
    assert answer.wait() == {}
    assert answer.pieces == [("y", "ONE"), ("y", "TWO"), ("y", "THREE")]
    assert bench.run(path(*pipeline), {"x": "x"}) == {"y": "ONETWOTHREE"}


def test_a_consumer_with_a_sequence_is_told_its_first_and_its_last_chunk() -> None:
    bench = Bench(model(a=UNARY), {"a": lambda inputs: {"y": inputs["x"]}}, sequenced={"a"})
    bench.run(path(invocation("a", x=Chunks(Input("x"), "tokens:1"))), {"x": "one two three"})
    assert [(chunk.first, chunk.last) for chunk in bench.caller.chunks] == [
        (True, False),
        (False, False),
        (False, True),
    ]


def test_a_client_that_streams_gets_what_is_there_before_the_end() -> None:
    go = threading.Event()

    def late(inputs: dict[str, Any]) -> dict[str, Any]:
        assert go.wait(PATIENCE_S)
        return {"y": "late"}

    bench = Bench(model(a=UNARY, b=UNARY), {"a": lambda inputs: {"y": "early"}, "b": late})
    both = path(invocation("a", x=Input("x")), invocation("b", x=Output("a", "y")), y=Output("a", "y"))
    _, answer = bench.start(both, {"x": "x"}, streams=True)
    while not answer.pieces:
        threading.Event().wait(0.001)
    assert answer.pieces == [("y", "early")]
    assert not answer.ended.is_set()
    go.set()
    assert answer.wait() == {}


def test_a_path_without_invocations_answers_at_once() -> None:
    assert Bench(model(), {}).run(Path((), (), {"y": Input("x")}), {"x": "same"}) == {"y": "same"}


def test_an_input_that_nothing_has_given_fails_the_request() -> None:
    bench = Bench(model(a=UNARY, b=UNARY), {"a": lambda inputs: {}, "b": lambda inputs: {"y": ""}})
    with pytest.raises(MissingInputError, match="b needs x, which nothing has given"):
        bench.run(path(invocation("a", x=Input("x")), invocation("b", x=Output("a", "y"))), {"x": "x"})
