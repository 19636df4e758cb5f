"""Lists that are no maps: the flow is recorded for the very length that the request has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corntriton.record.flow import flow
from corntriton.record.path import Element, Guard, Output
from corntriton.record.recording import RecordError, record
from tests.record.test_recording import counts_of, mapped


def test_a_turn_that_depends_on_the_one_before_unrolls_the_list(model, everything):
    @flow
    def folded(request, c):
        summary = request["topic"]
        for image in request.each("images"):
            summary = c.pair(one=summary, other=image).text
        return {"answer": summary}

    path = record(folded, model, everything)
    assert path.guards == (Guard("count", "images", 3),)
    assert [invocation.id for invocation in path.invocations] == ["pair", "pair.2", "pair.3"]
    assert path.invocations[2].inputs == {"one": Output("pair.2", "text"), "other": Element("images", 2)}


def test_loops_side_by_side_unroll_both_lists(model, everything):
    @flow
    def zipped(request, c):
        pairs = zip(request.each("images"), request.each("pages"), strict=False)
        return {"captions": [c.pair(one=image, other=page).text for image, page in pairs]}

    assert counts_of(record(zipped, model, everything)) == {"images": 3, "pages": 2}


def test_a_loop_inside_a_loop_unrolls_the_inner_list(model, everything):
    @flow
    def nested(request, c):
        pairs = [(image, page) for image in request.each("images") for page in request.each("pages")]
        return {"captions": [c.pair(one=image, other=page).text for image, page in pairs]}

    path = record(nested, model, everything)
    assert counts_of(path) == {"pages": 2}
    assert mapped(path) == {"pair": "images", "pair.2": "images"}


def _broken_off(request, c):
    for image in request.each("images"):
        answer = c.vision(image=image).caption
        break
    return {"answer": answer}


def _first_of_results(request, c):
    captions = [c.vision(image=image).caption for image in request.each("images")]
    return {"answer": captions[0]}


def _leaked(request, c):
    for image in request.each("images"):
        caption = c.vision(image=image).caption
    return {"answer": caption}


def _numbered(request, c):
    for number, image in enumerate(request.each("images")):
        c.llm(prompt=image, temperature=number)
    return {}


def _reversed(request, c):
    return {"captions": [c.vision(image=image).caption for image in request.each("images")][::-1]}


def _measured(request, c):
    captions = [c.vision(image=image).caption for image in request.each("images")]
    return {"answer": c.llm(context=captions).text} if len(captions) == 3 else {"captions": captions}


@pytest.mark.parametrize(
    "function", [_broken_off, _first_of_results, _leaked, _numbered, _reversed, _measured]
)
def test_a_loop_that_is_no_map_unrolls_its_list(function, model, everything):
    assert counts_of(record(flow(function), model, everything)) == {"images": 3}


@pytest.mark.parametrize("special", [1, 2, 3])
@pytest.mark.parametrize("count", [2, 4])
def test_a_flow_that_treats_a_small_length_specially_is_not_taken_for_a_map(
    special, count, model, everything
):
    @flow
    def choosy(request, c):
        captions = [c.vision(image=image).caption for image in request.each("images")]
        return {} if len(captions) == special else {"captions": captions}

    path = record(choosy, model, replace(everything, counts={"images": count}))
    assert counts_of(path) == {"images": count}


def test_only_the_list_that_resists_is_unrolled(model, everything):
    @flow
    def half_and_half(request, c):
        captions = [c.vision(image=image).caption for image in request.each("images")]
        summary = c.llm(context=captions).text
        for page in request.each("pages"):
            summary = c.pair(one=summary, other=page).text
        return {"answer": summary}

    path = record(half_and_half, model, everything)
    assert counts_of(path) == {"pages": 2}
    assert mapped(path) == {"vision": "images", "llm": None, "pair": None, "pair.2": None}


def test_a_flow_that_refuses_other_lengths_is_recorded_for_its_own(model, everything):
    @flow
    def only_three(request, c):
        captions = [c.vision(image=image).caption for image in request.each("images")]
        if len(captions) != 3:
            raise ValueError("three images, please")
        return {"captions": captions}

    assert counts_of(record(only_three, model, everything)) == {"images": 3}
    with pytest.raises(RecordError, match="three images, please"):
        record(only_three, model, replace(everything, counts={"images": 2}))


def test_asking_for_the_length_fixes_it(model, everything):
    @flow
    def counting(request, c):
        captions = [c.vision(image=image).caption for image in request.each("images")]
        return {"captions": captions} if request.count("images") > 1 else {"answer": captions[0]}

    path = record(counting, model, everything)
    assert path.guards == (Guard("count", "images", 3),)
    assert len(path.invocations) == 3
