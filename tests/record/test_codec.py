from __future__ import annotations

import json

from corntriton.record.codec import path_from_json, path_to_json
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

PATH = Path(
    (
        Guard("present", "text", True),
        Guard("count", "images", 2),
        Guard("shape", "audio", (16000, 2)),
        Guard("parameter", "style", None),
        Guard("parameter", "weight", 0.5),
    ),
    (
        Invocation("vision", "vision", {"image": Element("images"), "size": Const((64, 64))}, over="images"),
        Invocation("tts", "tts", {"text": Chunks(Output("vision", "caption"), "tokens:8"), "n": Const(True)}),
    ),
    {
        "answer": Input("text"),
        "captions": Items((Const("a"), Spread("images", (Element("images"), Output("vision", "caption"))))),
        "last": Element("images", 1),
    },
)


def test_every_kind_of_argument_survives_json():
    assert path_from_json(json.loads(json.dumps(path_to_json(PATH)))) == PATH


def test_equal_paths_give_equal_text():
    again = path_from_json(path_to_json(PATH))
    assert json.dumps(path_to_json(again), sort_keys=True) == json.dumps(path_to_json(PATH), sort_keys=True)
