from __future__ import annotations

import pytest

from corntriton.record.errors import RecordError
from corntriton.record.facts import Facts
from corntriton.record.flow import flow, load_flow
from corntriton.record.path import Guard
from corntriton.record.recording import record

LOOKS = {
    "whether it is true": "bool(answer)",
    "negation": "not answer",
    "its length": "len(answer)",
    "iteration": "list(answer)",
    "membership": "'a' in answer",
    "an index": "answer[0]",
    "an assignment into it": "answer[0] = 1",
    "equality": "answer == 'yes'",
    "equality from the left": "'yes' == answer",
    "inequality": "answer != 'yes'",
    "order": "answer < 3",
    "order from the left": "3 < answer",
    "sorting": "sorted([answer, answer])",
    "addition": "answer + '!'",
    "addition from the left": "'Say: ' + answer",
    "addition to a list": "['a'] + answer",
    "unpacking": "['a', *answer]",
    "multiplication": "2 * answer",
    "formatting": "f'{answer}'",
    "old formatting": "'%s' % answer",
    "text": "str(answer)",
    "printing": "print(answer)",
    "float": "float(answer)",
    "int": "int(answer)",
    "rounding": "round(answer)",
    "a range": "range(answer)",
    "a key": "{answer: 1}",
    "a set": "{answer}",
    "a call": "answer()",
    "a method": "answer.upper()",
    "an array": "np.asarray(answer)",
    "arithmetic with an array": "np.ones(3) + answer",
    "the shape of what is not known": "answer.shape",
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_looking_into_a_computed_value_is_refused_at_its_line(look, model, everything, tmp_path):
    (tmp_path / "flow.py").write_text(
        "import numpy as np\n"
        "from corntriton import flow\n"
        "@flow\n"
        "def wrong(request, c):\n"
        "    answer = c.llm(prompt=request['topic']).text\n"
        f"    {look}\n"
        "    return {'answer': answer}\n"
    )
    with pytest.raises(RecordError) as caught:
        record(load_flow("flow.py:wrong", tmp_path), model, everything)
    (problem,) = caught.value.problems
    assert (problem.file, problem.path) == (str(tmp_path / "flow.py"), "line 6")
    assert "`text` of `llm`" in problem.what
    assert problem.fix


def test_a_branch_on_a_computed_value_says_what_a_flow_may_branch_on(refused):
    @flow
    def wrong(request, c):
        answer = c.llm(prompt=request["topic"]).text
        if answer:  # here
            return {"answer": answer}
        return {}

    problem = refused(wrong)
    assert (
        problem.what == "the flow asks whether `text` of `llm` is true, but no value is known while it runs"
    )
    assert "branch on what is known beforehand" in problem.fix
    assert "`is None`" in problem.fix


def test_a_refusal_that_the_flow_catches_still_refuses_the_flow(refused):
    @flow
    def wrong(request, c):
        answer = c.llm(prompt=request["topic"]).text
        try:
            print(len(answer))  # here
        except Exception:
            answer = "too bad"
        return {"answer": answer}

    refused(wrong)


def test_inputs_and_elements_are_not_looked_into_either(refused):
    @flow
    def looks_into_an_input(request, c):
        return {"answer": "yes" if request["topic"] == "cats" else "no"}  # here

    @flow
    def looks_into_an_element(request, c):
        for image in request.each("images"):
            len(image)  # here

    assert "input `topic`" in refused(looks_into_an_input).what
    assert "an element of `images`" in refused(looks_into_an_element).what


def test_a_list_input_is_looped_over_with_each(refused):
    @flow
    def wrong(request, c):
        return {"captions": [c.vision(image=image).caption for image in request["images"]]}  # here

    assert 'request.each("name")' in refused(wrong).fix


def test_a_call_used_as_a_value_is_refused_with_its_outputs(refused):
    @flow
    def wrong(request, c):
        return {} if c.vision(image=request["topic"]) else None  # here

    problem = refused(wrong)
    assert problem.what == "the flow uses the call of `vision` as if it were a value"
    assert ".caption, .score" in problem.fix


def test_an_unknown_output_is_refused_with_the_closest_one(refused):
    @flow
    def wrong(request, c):
        return {"answer": c.vision(image=request["topic"]).captoin}  # here

    problem = refused(wrong)
    assert problem.what == "`vision` has no output `captoin`"
    assert "did you mean `caption`?" in problem.fix


def test_the_shape_of_an_input_becomes_a_guard(model, everything):
    @flow
    def by_length(request, c):
        if request["audio"].shape[0] > 100:
            return {"speech": c.filter(pcm=request["audio"]).pcm}
        return {"speech": request["audio"]}

    path = record(by_length, model, everything)
    assert path.guards == (Guard("present", "audio", True), Guard("shape", "audio", (16000,)))


def test_a_shape_that_the_request_type_does_not_state_is_refused(model):
    @flow
    def by_length(request, c):
        return {"speech": request["audio"]} if request["audio"].shape[0] > 100 else {}

    with pytest.raises(Exception, match="the request type does not state it; To fix: add `shape"):
        record(by_length, model, Facts({"topic": (1,), "audio": None}))


CHUNKERS = {
    "no such chunker": ("text", "lines", "there is no chunker `lines`"),
    "no number": ("text", "tokens", "there is no chunker `tokens`"),
    "a number of zero": ("audio", "samples:0", "there is no chunker `samples:0`"),
    "text by samples": ("text", "samples:10", "no array of numbers"),
    "samples by sentences": ("audio", "sentence", "is no text"),
    "a list": ("images", "sentence", "is a list"),
}


@pytest.mark.parametrize(("name", "by", "what"), CHUNKERS.values(), ids=CHUNKERS.keys())
def test_chunks_that_a_value_cannot_have_are_refused(name, by, what, refused):
    @flow
    def wrong(request, c):
        return {"speech": c.tts(text=request[name].chunks(by)).pcm}  # here

    assert what in refused(wrong).what
