from __future__ import annotations

from dataclasses import replace

import pytest

from corntriton.record.errors import RecordError
from corntriton.record.facts import Facts
from corntriton.record.flow import flow
from corntriton.record.path import Const, Guard
from corntriton.record.recording import record

WRONG = {
    "an unknown input": (
        lambda request, c: request["txt"],
        "the model has no input `txt`",
        "use an input it has: did you mean `text`?",
    ),
    "presence of an unknown input": (
        lambda request, c: "zzz" in request,
        "the model has no input `zzz`",
        "there is `audio`, `images`, `pages`, `text`, `topic`",
    ),
    "each of what is no list": (
        lambda request, c: list(request.each("text")),
        "input `text` is no list, so it has no each()",
        'take it as request["text"]',
    ),
    "count of what is no list": (
        lambda request, c: request.count("text"),
        "input `text` is no list, so it has no count()",
        "`list: true`",
    ),
    "an unknown output wanted": (
        lambda request, c: request.wants("speach"),
        "the model has no output `speach`",
        "did you mean `speech`?",
    ),
    "iteration over the request": (
        lambda request, c: list(request),
        "the flow iterates over the request",
        "name the inputs",
    ),
    "an attribute": (
        lambda request, c: request.text,
        "a request has no `text`",
        'inputs are request["name"]',
    ),
    "an unknown component": (
        lambda request, c: c.visoin(image=request["topic"]),
        "the model has no component `visoin`",
        "did you mean `vision`?",
    ),
    "inputs without names": (
        lambda request, c: c.vision(request["topic"]),
        "`vision` is given inputs without names",
        "name them: c.vision(image=...)",
    ),
    "an unknown input of a component": (
        lambda request, c: c.vision(img=request["topic"]),
        "`vision` has no input `img`",
        "did you mean `image`?",
    ),
    "a missing input": (
        lambda request, c: c.vision(),
        "input `image` of `vision` is required, and not given",
        "pass image=...",
    ),
    "None for a required input": (
        lambda request, c: c.vision(image=None),
        "input `image` of `vision` is given None, and is required",
        "declare it as optional",
    ),
}


@pytest.mark.parametrize(("use", "what", "fix"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_use_of_request_or_components_is_refused_at_its_line(use, what, fix, model, everything):
    with pytest.raises(RecordError) as caught:
        record(flow(use), model, everything)
    (problem,) = caught.value.problems
    assert problem.what == what
    assert fix in problem.fix
    assert problem.path == f"line {use.__code__.co_firstlineno}"


def test_an_input_that_the_request_lacks_is_refused_with_how_to_ask(model, everything):
    @flow
    def careless(request, c):
        return {"speech": request["audio"]}

    with pytest.raises(
        RecordError, match='which this request lacks; To fix: ask first: `if "audio" in request`'
    ):
        record(careless, model, replace(everything, shapes={"topic": (1,)}))


def test_a_required_input_needs_no_guard(model, everything):
    @flow
    def simple(request, c):
        return {"answer": request["topic"] if "topic" in request else request.get("topic")}

    assert record(simple, model, everything).guards == ()


def test_the_default_of_an_absent_input_is_used(model):
    @flow
    def greeting(request, c):
        return {"answer": c.llm(prompt=request.get("text", "Hello")).text}

    path = record(greeting, model, Facts({"topic": (1,)}))
    assert path.guards == (Guard("present", "text", False),)
    assert path.invocations[0].inputs == {"prompt": Const("Hello")}


def test_an_absent_parameter_is_a_guard_too(model, everything):
    @flow
    def styled(request, c):
        return {"answer": c.llm(prompt=request.parameter("tone", "kind")).text}

    path = record(styled, model, everything)
    assert path.guards == (Guard("parameter", "tone", None),)
    assert path.invocations[0].inputs == {"prompt": Const("kind")}


def test_the_parameter_that_names_outputs_is_not_the_flows(refused):
    @flow
    def curious(request, c):
        return {"answer": request.parameter("outputs")}  # here

    assert "clients name the outputs they want" in refused(curious).what


def test_a_list_that_is_absent_has_no_elements(model):
    @flow
    def lists(request, c):
        assert [*request.each("images")] == []
        assert request.count("pages") == 0
        return {}

    path = record(lists, model, Facts({"topic": (1,)}))
    assert path.guards == (Guard("some", "images", False), Guard("count", "pages", 0))
