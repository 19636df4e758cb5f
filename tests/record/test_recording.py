from __future__ import annotations

from dataclasses import replace

import pytest

from corntriton.record.facts import Facts, matches
from corntriton.record.flow import flow
from corntriton.record.path import Chunks, Element, Guard, Input, Invocation, Items, Output, Spread
from corntriton.record.recording import record


@flow
def omni(request, c):
    prompt = request.get("text")
    if "audio" in request:
        prompt = c.asr_decoder(states=c.asr_encoder(pcm=request["audio"]).states).text
    captions = [c.vision(image=image).caption for image in request.each("images")]
    answer = c.llm(prompt=prompt, context=captions).text
    if request.wants("speech"):
        return {"answer": answer, "speech": c.tts(text=answer).pcm}
    return {"answer": answer}


CAPTION = Output("vision", "caption")


def counts_of(path):
    return {guard.name: guard.value for guard in path.guards if guard.kind == "count"}


def mapped(path):
    return {invocation.id: invocation.over for invocation in path.invocations}


def test_the_flow_of_the_documentation_is_recorded_with_one_node_for_its_loop(model, everything):
    path = record(omni, model, everything)
    assert path.guards == (
        Guard("present", "text", True),
        Guard("present", "audio", True),
        Guard("some", "images", True),
        Guard("wants", "speech", True),
    )
    assert path.invocations == (
        Invocation("asr_encoder", "asr_encoder", {"pcm": Input("audio")}),
        Invocation("asr_decoder", "asr_decoder", {"states": Output("asr_encoder", "states")}),
        Invocation("vision", "vision", {"image": Element("images")}, over="images"),
        Invocation(
            "llm",
            "llm",
            {"prompt": Output("asr_decoder", "text"), "context": Items((Spread("images", (CAPTION,)),))},
        ),
        Invocation("tts", "tts", {"text": Output("llm", "text")}),
    )
    assert path.outputs == {"answer": Output("llm", "text"), "speech": Output("tts", "pcm")}


def test_facts_that_the_flow_did_not_ask_for_make_no_guards(model, everything):
    path = record(omni, model, everything)
    other = Facts(
        {"topic": (1,), "text": (1,), "audio": (99,)},
        {"images": 1000},
        frozenset({"speech"}),
        {"style": "long"},
    )
    assert matches(path, other)


@pytest.mark.parametrize(
    "change",
    [
        {"shapes": {"topic": (1,), "text": (1,)}},
        {"counts": {"pages": 2}},
        {"counts": {"images": 0, "pages": 2}},
        {"wanted": frozenset({"answer"})},
    ],
)
def test_facts_that_the_flow_asked_for_must_match(change, model, everything):
    path = record(omni, model, everything)
    assert not matches(path, replace(everything, **change))


def test_each_fact_is_a_guard_once_in_the_order_of_asking(model, everything):
    @flow
    def curious(request, c):
        style = request.parameter("style")
        return (
            {"answer": request["topic"]} if "text" in request and request.parameter("style") == style else {}
        )

    guards = record(curious, model, everything).guards
    assert guards == (Guard("parameter", "style", "short"), Guard("present", "text", True))


def test_a_parameter_guard_tells_true_from_one(model, everything):
    @flow
    def styled(request, c):
        return {"answer": request["topic"]} if request.parameter("n") is True else {}

    path = record(styled, model, replace(everything, parameters={"n": True}))
    assert matches(path, replace(everything, parameters={"n": True}))
    assert not matches(path, replace(everything, parameters={"n": 1}))


def test_an_empty_list_is_a_path_of_its_own(model, everything):
    path = record(omni, model, replace(everything, counts={}))
    assert Guard("some", "images", False) in path.guards
    assert "vision" not in mapped(path)


def test_two_values_appended_in_a_turn_alternate(model, everything):
    @flow
    def interleaved(request, c):
        seen = ["These are images."]
        for image in request.each("images"):
            seen.append(image)
            seen.append(c.vision(image=image).caption)
        return {"captions": seen}

    items = record(interleaved, model, everything).outputs["captions"].items
    assert items[1:] == (Spread("images", (Element("images"), CAPTION)),)


def test_two_loops_follow_one_another(model, everything):
    @flow
    def one_after_the_other(request, c):
        images = [*request.each("images")]
        return {"captions": images + [c.vision(image=image).caption for image in images]}

    items = record(one_after_the_other, model, everything).outputs["captions"].items
    assert items == (Spread("images", (Element("images"),)), Spread("images", (CAPTION,)))


def test_a_loop_over_results_continues_the_map(model, everything):
    @flow
    def chained(request, c):
        captions = [c.vision(image=image).caption for image in request.each("images")]
        answers = [c.llm(prompt=caption, context=captions).text for caption in captions]
        return {"captions": answers}

    path = record(chained, model, everything)
    assert mapped(path) == {"vision": "images", "llm": "images"}
    assert path.invocations[1].inputs == {
        "prompt": CAPTION,
        "context": Items((Spread("images", (CAPTION,)),)),
    }


def test_a_call_that_takes_nothing_from_its_turn_is_mapped_all_the_same(model, everything):
    @flow
    def repeated(request, c):
        return {"captions": [c.llm(prompt=request["topic"]).text for _ in request.each("images")]}

    assert mapped(record(repeated, model, everything)) == {"llm": "images"}


def test_lists_are_mapped_independently(model, everything):
    @flow
    def two_lists(request, c):
        captions = [c.vision(image=image).caption for image in request.each("images")]
        pages = [c.vision(image=page).caption for page in request.each("pages")]
        return {"captions": captions + pages}

    assert mapped(record(two_lists, model, everything)) == {"vision": "images", "vision.2": "pages"}


def test_chunks_inside_a_loop_are_mapped(model, everything):
    @flow
    def spoken(request, c):
        spoken = [
            c.tts(text=c.llm(prompt=page).text.chunks("sentence")).pcm for page in request.each("pages")
        ]
        return {"speech": c.filter(pcm=spoken[0]).pcm} if request.count("images") > 9 else {}

    path = record(spoken, model, everything)
    assert mapped(path) == {"llm": "pages", "tts": "pages"}
    assert path.invocations[1].inputs == {"text": Chunks(Output("llm", "text"), "sentence")}


def test_a_list_passed_on_whole_makes_no_guard(model, everything):
    @flow
    def whole(request, c):
        return {"captions": c.ocr(images=request["images"]).lines}

    path = record(whole, model, everything)
    assert path.guards == (Guard("present", "images", True),)
    assert path.invocations[0].inputs == {"images": Input("images")}


def test_the_same_component_called_again_gets_a_number(model, everything):
    @flow
    def twice(request, c):
        return {"answer": c.llm(prompt=c.llm(prompt=request["topic"]).text).text}

    assert [invocation.id for invocation in record(twice, model, everything).invocations] == ["llm", "llm.2"]
