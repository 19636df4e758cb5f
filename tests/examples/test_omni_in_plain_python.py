"""The example's flow with its real weights, called by hand: what a user does before there is a server."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from corntriton import InvalidRequestError
from corntriton.record.direct import run_directly
from corntriton.spec.load import load_models

pytestmark = pytest.mark.weights
OMNI = Path(__file__).parents[2] / "examples" / "omni"
INVOICE = ("Invoice 1234", "Total due: 56.78 EUR")


@pytest.fixture(scope="module")
def omni():
    import get_weights

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORNTRITON_WEIGHTS", str(get_weights.get_weights()))
        (model,) = load_models([OMNI / "model.yaml"])
    components = {name: loaded(component) for name, component in model.components.items()}

    def run(wanted, parameters=None, **values):
        return run_directly(model.flow, model.signature, values, parameters or {}, wanted, components)

    return run


def loaded(component):
    """The component as a function of its inputs."""
    module, _, name = component.artifact.partition(":")
    instance = getattr(importlib.import_module(module), name)()
    instance.load(SimpleNamespace(settings=component.spec.settings, file=component.files.__getitem__))

    def call(inputs):
        item = Item((key, as_input(value)) for key, value in inputs.items())
        return list(instance.stream(item)) if component.spec.streaming else raise_or_return(*instance([item]))

    return call


class Item(dict):
    def cancelled(self):
        return False


def as_input(value):
    if isinstance(value, list):
        return [as_input(each) for each in value]
    if isinstance(value, (str, bytes)):
        return np.array([value.encode() if isinstance(value, str) else value], object)
    return value


def raise_or_return(result):
    if isinstance(result, Exception):
        raise result
    return result


def test_what_it_says_is_what_it_hears(omni):
    import media

    said = "What is the capital of France?"
    speech = omni(["speech"], {"read_aloud": True}, text=said)["speech"]
    assert omni(["transcript"], audio=media.as_heard(speech))["transcript"] == said


def test_a_question_is_answered(omni):
    assert omni(["answer"], text="What is the capital of France?") == {
        "answer": "The capital of France is Paris."
    }


def test_what_an_image_says_is_known_to_the_answer(omni):
    import media

    answer = omni(["answer"], text="What is the total due?", images=[media.picture(*INVOICE)])["answer"]
    assert "is 56.78" in answer


@pytest.mark.parametrize("digit", ["zero", "one", "7"])
def test_the_digit_wished_for_is_drawn(omni, digit):
    import checks
    from components.english import ONES

    image = omni(["image"], text=f"Please draw the digit {digit}.")["image"]
    assert checks.digit_in(image) == (int(digit) if digit.isdigit() else ONES.index(digit))


def test_speech_that_is_too_long_is_refused_with_its_length(omni):
    with pytest.raises(InvalidRequestError, match=r"31\.0 s"):
        omni(["transcript"], audio=np.zeros(31 * 16_000, np.float32))


def test_bytes_that_are_no_image_are_refused(omni):
    with pytest.raises(InvalidRequestError, match="no format"):
        omni(["answer"], text="What is it?", images=[b"no image"])
