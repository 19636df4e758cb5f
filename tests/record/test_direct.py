from __future__ import annotations

import numpy as np
import pytest

from corntriton.errors import CorntritonError
from corntriton.record.direct import run_directly
from corntriton.record.errors import RecordError
from corntriton.record.evaluate import evaluate
from corntriton.record.flow import flow
from corntriton.record.path import Path, Spread
from corntriton.record.recording import record


def vision(inputs):
    return {"caption": f"a picture of {inputs['image']}"}


def llm(inputs):
    """Streams the words of its answer."""
    words = [inputs.get("prompt", "?"), *inputs.get("context", [])]
    return ({"text": f"{word}. "} for word in words)


def tts(inputs):
    return {"pcm": np.full(len(inputs["text"].strip()), 0.5)}


COMPONENTS = {"vision": vision, "llm": llm, "tts": tts}


@flow
def spoken(request, c):
    captions = [c.vision(image=image).caption for image in request.each("images")]
    answer = c.llm(prompt=request.get("text"), context=captions).text
    if request.wants("speech"):
        return {"answer": answer, "speech": c.tts(text=answer.chunks("sentence")).pcm}
    return {"answer": answer}


def test_a_flow_runs_without_a_server(model):
    values = {"topic": "", "text": "Look", "images": ["cats", "dogs"]}
    outputs = run_directly(spoken, model, values, {}, ["answer", "speech"], COMPONENTS)
    assert outputs["answer"] == "Look. a picture of cats. a picture of dogs. "
    assert len(outputs["speech"]) == len("Look.") + 2 * len("a picture of cats.")


def test_only_what_is_asked_for_is_computed(model):
    assert set(run_directly(spoken, model, {"topic": "", "text": "Hi"}, {}, ["answer"], COMPONENTS)) == {
        "answer"
    }


def test_an_array_brings_its_shape(model):
    @flow
    def long_enough(request, c):
        return {"speech": request["audio"]} if request["audio"].shape == (3,) else {}

    outputs = run_directly(long_enough, model, {"topic": "", "audio": np.ones(3)}, {}, [], {})
    assert outputs["speech"].tolist() == [1, 1, 1]


def test_a_flow_that_cannot_be_recorded_does_not_run_either(model):
    @flow
    def peeking(request, c):
        return {"answer": "yes" if c.vision(image=request["topic"]).caption else "no"}

    with pytest.raises(RecordError, match="asks whether `caption` of `vision` is true"):
        run_directly(peeking, model, {"topic": "cats"}, {}, [], COMPONENTS)


def test_the_exception_of_a_component_comes_out_as_it_is(model):
    def broken(inputs):
        raise ZeroDivisionError("in the component")

    with pytest.raises(ZeroDivisionError, match="in the component"):
        run_directly(spoken, model, {"topic": ""}, {}, [], {"llm": broken})


def test_a_component_that_is_not_given_is_named(model):
    with pytest.raises(CorntritonError, match="there is no `llm` among the components given"):
        run_directly(spoken, model, {"topic": ""}, {}, [], {})


def test_no_chunks_are_no_calls_and_an_empty_value(model, everything):
    silent = {"llm": lambda inputs: {"text": "  "}, "tts": None}
    outputs = run_directly(spoken, model, {"topic": ""}, {}, ["speech"], silent)
    assert outputs["speech"].shape == (0,)


def test_an_optional_output_that_a_component_does_not_give_is_left_out(model, everything):
    @flow
    def scored(request, c):
        seen = c.vision(image=request["topic"])
        return {"answer": c.llm(prompt=seen.caption, temperature=seen.score).text}

    def hot(inputs):
        return {"text": f"{inputs.get('temperature', 'cold')}"}

    components = {**COMPONENTS, "llm": hot}
    assert run_directly(scored, model, {"topic": "cats"}, {}, [], components) == {"answer": "cold"}


def test_a_path_that_is_not_flat_is_refused(model, everything):
    path = record(spoken, model, everything)
    assert any(isinstance(item, Spread) for item in path.invocations[1].inputs["context"].items)
    with pytest.raises(CorntritonError, match="the path is not flat"):
        evaluate(Path((), path.invocations[1:], {}), model, {"topic": "", "text": ""}, COMPONENTS)
