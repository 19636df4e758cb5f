"""The committed JSON Schemas: current, valid, and of one mind with the types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

import jsonschema
import pytest
import yaml

from corntriton.spec.schemas import KINDS, schema_text

SCHEMAS = File(__file__).parents[2] / "docs" / "schemas"


@pytest.mark.parametrize("kind", KINDS)
def test_the_committed_schema_is_current(kind: str) -> None:
    committed = (SCHEMAS / f"{kind}.schema.json").read_text()
    assert committed == schema_text(kind), "run: python -m corntriton.spec.schemas"


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_valid(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text(kind)))


def properties(node: Any, place: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        for name, value in node.get("properties", {}).items():
            yield f"{place}.{name}", value
        for name, value in node.items():
            yield from properties(value, f"{place}.{name}")


def test_every_field_of_a_model_is_described() -> None:
    bare = [
        place for place, value in properties(json.loads(schema_text("model"))) if "description" not in value
    ]
    assert bare == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("deadline_s", "dedline_s"),
        ("  tts:", "  Text-to-speech:"),
        ("[1500,", "[0,"),
        ("flow.py:omni", "flow"),
    ],
)
def test_the_schema_accepts_a_valid_model_and_refuses_a_broken_one(old: str, new: str) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(schema_text("model")))
    model = (File(__file__).parent / "sample" / "model.yaml").read_text()
    validator.validate(yaml.safe_load(model))
    assert not validator.is_valid(yaml.safe_load(model.replace(old, new)))
