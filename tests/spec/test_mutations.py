"""However a valid model.yaml is mutilated, it loads or is refused with problems; nothing else is raised."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from corntriton.errors import Problem, UserError
from corntriton.spec.load import load_models

SAMPLE = File(__file__).parent / "sample"
WORDS = [
    "",
    "x",
    "omni",
    "text",
    "tts",
    "$HOME",
    "$NOT_SET_HERE/x",
    "BYTES",
    "parts:Llm",
    "a b",
    "é",
    "..",
    "hf:a/b",
    "\0",
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(WORDS), st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> File:
    return File(shutil.copytree(SAMPLE, tmp_path_factory.mktemp("mutated") / "sample"))


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of nested data."""
    for key in list(data) if isinstance(data, dict) else range(len(data)):
        yield data, key
        if isinstance(data[key], (dict, list)):
            yield from places(data[key])


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_mutated_model_loads_or_is_refused(folder: File, data: st.DataObject) -> None:
    model = yaml.safe_load((SAMPLE / "model.yaml").read_text())
    for _ in range(data.draw(st.integers(1, 4))):
        found = list(places(model))
        if not found:
            break
        container, key = found[data.draw(st.integers(0, len(found) - 1))]
        match data.draw(st.sampled_from(["delete", "replace", "rename"])):
            case "delete":
                del container[key]
            case "replace":
                container[key] = data.draw(VALUES)
            case "rename" if isinstance(container, dict):
                container[data.draw(st.sampled_from(WORDS))] = container.pop(key)
    (folder / "model.yaml").write_text(yaml.safe_dump(model, allow_unicode=True))
    check(folder)


def test_a_model_with_random_bytes_changed_loads_or_is_refused(folder: File) -> None:
    chance = random.Random(7)
    for _ in range(150):
        text = bytearray((SAMPLE / "model.yaml").read_bytes())
        for _ in range(chance.randint(1, 5)):
            text[chance.randrange(len(text))] = chance.randrange(256)
        (folder / "model.yaml").write_bytes(text)
        check(folder)


def check(folder: File) -> None:
    problems: tuple[Problem, ...] = ()
    try:
        load_models([folder])
    except UserError as error:
        problems = error.problems
    assert all(problem.what and problem.fix for problem in problems)
