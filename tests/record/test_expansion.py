from __future__ import annotations

import pytest

from corntriton.record.expansion import expand, lists_of
from corntriton.record.path import Chunks, Const, Element, Input, Invocation, Items, Output, Path, Spread

CAPTION = Output("vision", "caption")
PATH = Path(
    (),
    (
        Invocation(
            "vision", "vision", {"image": Element("images"), "task": Const("describe")}, over="images"
        ),
        Invocation("tts", "tts", {"text": Chunks(CAPTION, "sentence")}, over="images"),
        Invocation("llm", "llm", {"context": Items((Input("text"), Spread("images", (CAPTION,))))}),
        Invocation("judge", "judge", {"all": Items((Spread("images", (CAPTION,)), CAPTION))}, over="images"),
    ),
    {"captions": Items((Spread("images", (Element("images"), CAPTION)),))},
)


def test_a_mapped_invocation_becomes_one_per_element():
    flat = expand(PATH, {"images": 2})
    assert [invocation.id for invocation in flat.invocations] == [
        "vision[0]", "vision[1]", "tts[0]", "tts[1]", "llm", "judge[0]", "judge[1]",
    ]  # fmt: skip
    assert all(invocation.over is None for invocation in flat.invocations)
    assert flat.invocations[1].inputs == {"image": Element("images", 1), "task": Const("describe")}
    assert flat.invocations[3].inputs == {"text": Chunks(Output("vision[1]", "caption"), "sentence")}


def test_a_spread_lists_its_items_per_element():
    flat = expand(PATH, {"images": 2})
    first, second = Output("vision[0]", "caption"), Output("vision[1]", "caption")
    assert flat.invocations[4].inputs == {"context": Items((Input("text"), first, second))}
    assert flat.outputs == {"captions": Items((Element("images", 0), first, Element("images", 1), second))}


def test_a_spread_inside_a_mapped_invocation_does_not_take_its_element_for_the_others():
    flat = expand(PATH, {"images": 2})
    first, second = Output("vision[0]", "caption"), Output("vision[1]", "caption")
    assert flat.invocations[6].inputs == {"all": Items((first, second, second))}


def test_a_path_without_maps_is_flat_already():
    path = Path((), (Invocation("llm", "llm", {"prompt": Element("images", 1)}),), {})
    assert expand(path, {}) is path


@pytest.mark.parametrize(
    ("path", "lists"),
    [
        (PATH, ("images",)),
        (Path((), (), {"captions": Items((Spread("pages", (Element("pages"),)),))}), ("pages",)),
        (Path((), (), {"answer": Input("text")}), ()),
    ],
)
def test_the_lists_that_an_expansion_depends_on_are_known(path, lists):
    assert lists_of(path) == lists
