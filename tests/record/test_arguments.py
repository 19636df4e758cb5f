from __future__ import annotations

import pytest

from corntriton.record.errors import RecordError
from corntriton.record.facts import Facts
from corntriton.record.flow import flow
from corntriton.record.path import Const, Input, Items
from corntriton.record.recording import record

WRONG = {
    "a call as a whole": (
        lambda request, c: c.tts(text=c.llm(prompt=request["topic"])),
        "input `text` of `tts` is given the call of `llm` as a whole",
        "pass one of its outputs: .text",
    ),
    "a list for one value": (
        lambda request, c: c.tts(text=[request["topic"]]),
        "input `text` of `tts` takes one value, and is given a list",
        "call the component once per element",
    ),
    "a list input for one value": (
        lambda request, c: c.tts(text=request["images"]),
        "input `text` of `tts` takes one value, and is given input `images`, which is a list",
        "call the component once per element",
    ),
    "one value for a list": (
        lambda request, c: c.llm(context=request["topic"]),
        "input `context` of `llm` takes a list, and is given input `topic`, which is one value",
        "pass a list: [value]",
    ),
    "a constant for a list": (
        lambda request, c: c.llm(context="a"),
        "input `context` of `llm` takes a list, and is given the constant 'a'",
        "pass a list: [value]",
    ),
    "a generator for a list": (
        lambda request, c: c.llm(context=(image for image in request.each("images"))),
        "takes a list, and is given a generator",
        "pass a list",
    ),
    "a list in a list": (
        lambda request, c: c.llm(context=[[request["topic"]]]),
        "element 0 of input `context` of `llm` takes one value, and is given",
        "",
    ),
    "a list output in a list": (
        lambda request, c: c.llm(context=[c.ocr(images=request["images"]).lines]),
        "`context` of `llm` takes one value, and is given `lines` of `ocr`, which is a list",
        "",
    ),
    "None in a list": (
        lambda request, c: c.llm(context=["a", None]),
        "element 1 of input `context` of `llm` is None",
        "leave it out",
    ),
    "another dtype": (
        lambda request, c: c.tts(text=request["audio"]),
        "input `text` of `tts` takes BYTES, and is given input `audio`, which is FP32",
        "convert it in a component",
    ),
    "other dims": (
        lambda request, c: c.asr_decoder(states=request["audio"]),
        "takes dims [1500, 512], and is given input `audio`, which has [-1]",
        "reshape it in a component",
    ),
    "an output that may be missing": (
        lambda request, c: c.rate(score=c.vision(image=request["topic"]).score),
        "input `score` of `rate` is required, and `score` of `vision` may be missing",
        "declare that output as always given",
    ),
    "a constant of another dtype": (
        lambda request, c: c.tts(text=3),
        "input `text` of `tts` takes BYTES, and is given the constant 3",
        "pass a str",
    ),
    "a bool for a number": (
        lambda request, c: c.llm(temperature=True),
        "input `temperature` of `llm` takes FP32, and is given the constant True",
        "pass a number",
    ),
    "a number for a bool": (
        lambda request, c: c.llm(greedy=1),
        "input `greedy` of `llm` takes BOOL, and is given the constant 1",
        "pass a bool",
    ),
    "too few constants": (
        lambda request, c: c.llm(size=3),
        "input `size` of `llm` takes dims [2], and is given the constant 3",
        "pass a tuple",
    ),
    "too many constants": (
        lambda request, c: c.llm(size=(1, 2, 3)),
        "input `size` of `llm` takes dims [2], and is given 3 constants",
        "pass as many as it takes",
    ),
    "a number out of range": (
        lambda request, c: c.llm(size=(256, 0)),
        "input `size` of `llm` takes UINT8, which cannot hold 256",
        "",
    ),
    "something else": (
        lambda request, c: c.llm(prompt={}),
        "input `prompt` of `llm` takes BYTES, and is given a dict",
        "pass a str",
    ),
    "chunks in a list": (
        lambda request, c: c.llm(context=[request["topic"].chunks("sentence")]),
        "element 0 of input `context` of `llm` is given input `topic` in chunks",
        "pass the value itself",
    ),
    "chunks of a fixed size": (
        lambda request, c: c.frame(pcm=request["audio"].chunks("samples:480")),
        "input `pcm` of `frame` takes 480 rows, and the last chunk may have fewer",
        "declare its first dim as -1",
    ),
    "chunks of another dtype": (
        lambda request, c: c.tts(text=request["audio"].chunks("samples:480")),
        "input `text` of `tts` takes BYTES, and is given input `audio` in chunks, which is FP32",
        "",
    ),
}


@pytest.mark.parametrize(("call", "what", "fix"), WRONG.values(), ids=WRONG.keys())
def test_an_argument_that_does_not_fit_is_refused(call, what, fix, model, everything):
    with pytest.raises(RecordError) as caught:
        record(flow(call), model, everything)
    (problem,) = caught.value.problems
    assert what in problem.what
    assert fix in problem.fix
    assert problem.path == f"line {call.__code__.co_firstlineno}"


def test_a_value_of_an_earlier_request_is_refused(model, everything):
    kept = []

    @flow
    def hoarding(request, c):
        kept.append(request["topic"])
        return {"answer": kept[0]}

    record(hoarding, model, everything)
    with pytest.raises(RecordError, match="input `topic` belongs to an earlier request"):
        record(hoarding, model, everything)


def test_constants_become_the_dtype_of_their_port(model, everything):
    @flow
    def constant(request, c):
        return {
            "answer": c.llm(prompt="hi", context=["a", "b"], temperature=1, size=[3, 4], greedy=True).text
        }

    inputs = record(constant, model, everything).invocations[0].inputs
    assert inputs == {
        "prompt": Const("hi"),
        "context": Items((Const("a"), Const("b"))),
        "temperature": Const(1.0),
        "size": Const((3, 4)),
        "greedy": Const(True),
    }
    assert isinstance(inputs["temperature"].value, float)


def test_none_for_an_optional_input_leaves_it_out(model):
    @flow
    def maybe(request, c):
        return {"answer": c.llm(prompt=request.get("text"), context=[request["topic"]]).text}

    path = record(maybe, model, Facts({"topic": (1,)}))
    assert path.invocations[0].inputs == {"context": Items((Input("topic"),))}
