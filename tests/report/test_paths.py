"""Paths in words and as nodes."""

from __future__ import annotations

import pytest

from corntriton.record.path import (
    Chunks,
    Const,
    Element,
    Guard,
    Input,
    Invocation,
    Items,
    Output,
    Path,
    Spread,
)
from corntriton.record.signature import Port
from corntriton.report.paths import (
    guard_in_words,
    guards_in_words,
    inputs_in_words,
    nodes_of,
    port_in_words,
    tags,
)

CAPTION = Output("vision", "caption")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        (Input("text"), "text"),
        (Element("images"), "each of images"),
        (Element("images", 2), "images[2]"),
        (CAPTION, "vision.caption"),
        (Const("short"), '"short"'),
        (Const(3), "3"),
        (Items((Input("text"), Spread("images", (CAPTION,)))), "[text, vision.caption ×images]"),
        (Items((Spread("images", (CAPTION, Const(","))),)), '[(vision.caption, ",") ×images]'),
        (Chunks(Output("llm", "text"), "sentence"), "llm.text by sentence"),
    ],
)
def test_arguments_say_where_a_value_comes_from(argument: object, words: str) -> None:
    assert inputs_in_words({"x": argument}) == f"x ← {words}"  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("guard", "words"),
    [
        (Guard("present", "audio", True), "audio"),
        (Guard("present", "audio", False), "no audio"),
        (Guard("some", "images", False), "no images"),
        (Guard("count", "images", 4), "4 × images"),
        (Guard("shape", "audio", (16000,)), "shape of audio [16000]"),
        (Guard("parameter", "style", "short"), 'style = "short"'),
        (Guard("parameter", "style", None), "no style"),
    ],
)
def test_guards_read_as_facts(guard: Guard, words: str) -> None:
    assert guard_in_words(guard) == words


def test_guards_on_outputs_are_gathered() -> None:
    wants = [Guard("wants", name, value) for name, value in (("a", True), ("b", False), ("c", True))]
    assert guards_in_words([wants[0], Guard("present", "text", True), *wants[1:]]) == (
        "text; wanted: a, c; not wanted: b"
    )
    assert guards_in_words([wants[1]]) == "not wanted: b"


def test_ports_show_dims_lists_and_what_is_optional() -> None:
    assert port_in_words("x", Port("FP32", (1500, -1))) == "x FP32[1500,-1]"
    assert port_in_words("x", Port("BYTES", (1,), optional=True, list=True)) == "x? BYTES …"


def test_inputs_stand_just_above_their_first_consumer() -> None:
    path = Path(
        (),
        (
            Invocation("vision", "vision", {"image": Element("images")}, over="images"),
            Invocation(
                "llm", "llm", {"prompt": Input("text"), "context": Items((Spread("images", (CAPTION,)),))}
            ),
        ),
        {"answer": Output("llm", "text")},
    )
    assert [(node.name, list(node.producers)) for node in nodes_of(path)] == [
        ("input images", []),
        ("invocation vision", ["input images"]),
        ("input text", []),
        ("invocation llm", ["input text", "invocation vision"]),
        ("output answer", ["invocation llm"]),
    ]


def test_tags_tell_mapped_and_chunked_invocations() -> None:
    chunked = {"text": Chunks(Output("llm", "text"), "tokens:8")}
    assert tags(Invocation("tts", "tts", chunked, over="texts")) == ["×texts", "once per tokens:8"]
