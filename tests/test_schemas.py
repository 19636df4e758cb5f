"""The committed JSON Schemas: current, valid, and of one mind with the types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

import jsonschema
import pytest
import yaml

from corntriton.planner.planning import Options, try_plan
from corntriton.schemas import KINDS, schema_text
from tests.planner.instances import random_task

SCHEMAS = File(__file__).parents[1] / "docs" / "schemas"


@pytest.mark.parametrize("kind", KINDS)
def test_the_committed_schema_is_current(kind: str) -> None:
    committed = (SCHEMAS / f"{kind}.schema.json").read_text()
    assert committed == schema_text(kind), "run: python -m corntriton.schemas"


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_valid(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text(kind)))


def properties(node: Any, place: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        for name, value in node.get("properties", {}).items():
            yield f"{place}.{name}", value
        for name, value in node.items():
            yield from properties(value, f"{place}.{name}")


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described(kind: str) -> None:
    found = properties(json.loads(schema_text(kind)))
    assert [place for place, value in found if "description" not in value] == []


def test_the_schema_accepts_every_plan_and_refuses_what_is_none() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(schema_text("plan")))
    for seed in range(20):
        planned = try_plan(random_task(seed), Options())
        if planned is not None:
            written = json.loads(json.dumps(planned.plan.to_json()))
            validator.validate(written)
            assert not validator.is_valid({**written, "executors": None})
            for field in written:
                assert not validator.is_valid({name: written[name] for name in written if name != field})


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
    model = (File(__file__).parent / "spec" / "sample" / "model.yaml").read_text()
    validator.validate(yaml.safe_load(model))
    assert not validator.is_valid(yaml.safe_load(model.replace(old, new)))
