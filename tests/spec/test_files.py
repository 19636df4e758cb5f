"""Reading YAML and JSON: data, lines, and what is refused."""

from __future__ import annotations

from pathlib import Path as File
from typing import Any

import pytest

from corntriton.errors import Problems, UserError
from corntriton.spec.files import Document, json_path, read_json, read_yaml


def read(folder: File, text: str) -> tuple[Document | None, list[str]]:
    (folder / "x.yaml").write_text(text)
    problems = Problems()
    document = read_yaml(folder / "x.yaml", problems)
    try:
        problems.raise_if_any()
    except UserError as error:
        return document, [str(problem).removeprefix(str(folder)) for problem in error.problems]
    return document, []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1_000", 1000),
        (".5", 0.5),
        ("-1.5e+3", -1500.0),
        ("2024-01-31", "2024-01-31"),
        ("yes", True),
        ("~", None),
        ("[1, a]", [1, "a"]),
        ("'12'", "12"),
    ],
)
def test_scalars_are_what_json_could_hold(text: str, value: Any, tmp_path: File) -> None:
    document, problems = read(tmp_path, f"x: {text}\n")
    assert problems == []
    assert document is not None
    assert document.data == {"x": value}
    assert type(document.data["x"]) is type(value)


def test_lines_are_those_of_keys_and_items(tmp_path: File) -> None:
    document, _ = read(tmp_path, "a:\n  b:\n    - 1\n    - 2\n")
    assert document is not None
    assert document.position(("a", "b", 1)) == f"{tmp_path}/x.yaml:4"
    assert document.position(("a", "missing")) == f"{tmp_path}/x.yaml:1"
    assert document.position(("missing",)) == f"{tmp_path}/x.yaml"


def test_merged_mappings_may_be_overridden(tmp_path: File) -> None:
    document, problems = read(tmp_path, "base: &b {x: 1, y: 1}\nother:\n  <<: *b\n  y: 2\n")
    assert problems == []
    assert document is not None
    assert document.data["other"] == {"x": 1, "y": 2}


def test_all_duplicates_are_noted(tmp_path: File) -> None:
    _, problems = read(tmp_path, "a: 1\nb: {c: 1, c: 2}\na: 2\n")
    assert sorted(problem.partition("; ")[0] for problem in problems) == [
        "/x.yaml:2: $.b.c: is given twice, first in line 2",
        "/x.yaml:3: $.a: is given twice, first in line 1",
    ]


def test_places_read_as_json_paths() -> None:
    assert json_path(("components", "llm", "dims", 0)) == "$.components.llm.dims[0]"
    assert json_path(("a b", "ö")) == '$["a b"]["\\u00f6"]'


@pytest.mark.parametrize("text", ["", "{", '{"a": }', "[" * 100_000])
def test_json_that_cannot_be_read_is_reported(text: str, tmp_path: File) -> None:
    (tmp_path / "x.json").write_text(text)
    problems = Problems()
    assert read_json(tmp_path / "x.json", problems) is None
    assert problems
