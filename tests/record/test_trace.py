from __future__ import annotations

from dataclasses import replace

import pytest

from corntriton import InvalidRequestError
from corntriton.record.errors import RecordError
from corntriton.record.flow import flow
from corntriton.record.path import Const, Guard
from corntriton.record.recording import record
from corntriton.record.signature import ModelSignature, Port, Signature


def test_an_exception_of_the_flow_is_explained_with_its_line(refused):
    @flow
    def broken(request, c):
        style = request.parameter("style")
        return {"answer": style["tone"]}  # here

    problem = refused(broken)
    assert problem.what.startswith("the flow raised TypeError: string indices must be integers")


def test_a_flow_can_refuse_a_request(refused):
    @flow
    def picky(request, c):
        raise InvalidRequestError("nothing but music is played here")  # here

    problem = refused(picky)
    assert problem.what == "the flow refuses the request: nothing but music is played here"


def test_the_line_is_the_innermost_one_of_the_flow_file(refused):
    def helper(request):
        return request["image"]  # here

    @flow
    def indirect(request, c):
        return {"answer": helper(request)}

    refused(indirect)


def test_a_wrong_output_is_refused_at_the_return_that_gave_it(refused):
    @flow
    def several_returns(request, c):
        if "pages" not in request:
            return {}
        answer = c.llm(prompt=request["topic"]).text
        if request.wants("speech"):
            return {"answr": answer}  # here
        return {"answer": answer}

    problem = refused(several_returns)
    assert problem.what == "the model has no output `answr`"
    assert "did you mean `answer`?" in problem.fix


RETURNS = {
    "nothing": (lambda request, c: None, "the flow returns a NoneType"),
    "a value": (lambda request, c: request["topic"], "the flow returns a Symbol"),
    "a call": (
        lambda request, c: {"answer": c.llm(prompt="a")},
        "output `answer` is given the call of `llm` as a whole",
    ),
    "another dtype": (
        lambda request, c: {"answer": request["audio"]},
        "output `answer` takes BYTES, and is given input `audio`, which is FP32",
    ),
    "a list": (
        lambda request, c: {"answer": [request["topic"]]},
        "output `answer` takes one value, and is given a list",
    ),
    "one value for a list": (
        lambda request, c: {"captions": request["topic"]},
        "output `captions` takes a list, and is given input `topic`, which is one value",
    ),
    "chunks": (
        lambda request, c: {"answer": request["topic"].chunks("sentence")},
        "output `answer` is given input `topic` in chunks",
    ),
}


@pytest.mark.parametrize(("function", "what"), RETURNS.values(), ids=RETURNS.keys())
def test_outputs_that_do_not_fit_are_refused(function, what, model, everything):
    with pytest.raises(RecordError) as caught:
        record(flow(function), model, everything)
    (problem,) = caught.value.problems
    assert what in problem.what
    assert problem.path == f"line {function.__code__.co_firstlineno}"


def test_none_leaves_an_optional_output_out_and_constants_are_outputs(model, everything):
    @flow
    def quiet(request, c):
        return {"answer": "nothing to say", "speech": None}

    assert record(quiet, model, everything).outputs == {"answer": Const("nothing to say")}


def test_a_required_output_may_be_left_out_only_where_it_is_not_wanted(everything):
    model = ModelSignature("m", Signature({"topic": Port("BYTES")}, {"answer": Port("BYTES")}), {})

    @flow
    def silent(request, c):
        return {}

    with pytest.raises(RecordError, match="returns no `answer`, which is wanted and not optional"):
        record(silent, model, everything)
    path = record(silent, model, replace(everything, wanted=frozenset()))
    assert path.guards == (Guard("wants", "answer", False),)


def test_one_component_takes_one_input_in_chunks(refused):
    @flow
    def greedy(request, c):
        texts = request["topic"], request["text"]
        return {
            "answer": c.pair(one=texts[0].chunks("sentence"), other=texts[1].chunks("tokens:2")).text  # here
        }

    assert refused(greedy).what == "`pair` takes both `one` and `other` in chunks"


def test_streams_are_chunked_again(model, everything):
    @flow
    def pipeline(request, c):
        pcm = c.tts(text=request["topic"].chunks("sentence")).pcm
        return {"speech": c.filter(pcm=pcm.chunks("samples:4800")).pcm}

    assert len(record(pipeline, model, everything).invocations) == 2
