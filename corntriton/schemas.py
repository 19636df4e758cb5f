"""Writes the JSON Schemas of our files: `python -m corntriton.schemas [docs/schemas]`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path as File
from typing import Any

from pydantic import BaseModel, TypeAdapter

from corntriton.planner.plan import Plan
from corntriton.spec.cluster import Cluster
from corntriton.spec.model import ModelSpec
from corntriton.spec.profiles import Profiles
from corntriton.spec.workload import Workload

_BASE = "https://github.com/corntriton/corntriton/blob/main/docs/schemas"

# Each kind of file that a user may write, and the type that says what is in it.
_INPUTS: dict[str, type[BaseModel]] = {
    "model": ModelSpec,
    "workload": Workload,
    "cluster": Cluster,
    "profiles": Profiles,
}
KINDS = (*_INPUTS, "plan")

_ATTRIBUTES = re.compile(r"\n\s*Attributes:\n(.*)", re.DOTALL)
_ATTRIBUTE = re.compile(r"^ *(\w+): (.*?)(?=^ *\w+: |\Z)", re.DOTALL | re.MULTILINE)


def schema_text(kind: str) -> str:
    """The schema of a kind of file, as it is committed."""
    schema = _plan_schema() if kind == "plan" else _INPUTS[kind].model_json_schema()
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"{_BASE}/{kind}.schema.json"}
    return json.dumps({**head, **_closed(schema)}, indent=2, ensure_ascii=False) + "\n"


def _plan_schema() -> dict[str, Any]:
    """What `corntriton plan` writes: every field is there, and is described by its class's docstring."""
    schema = TypeAdapter(Plan).json_schema(mode="serialization")
    for described in (schema, *schema["$defs"].values()):
        _describe(described)
        if "properties" in described:
            described["required"] = list(described["properties"])
    return schema


def _describe(schema: dict[str, Any]) -> None:
    """Hands the `Attributes:` of a docstring to the properties they are about."""
    found = _ATTRIBUTES.search(schema.get("description", ""))
    if found is None:
        return
    schema["description"] = schema["description"][: found.start()].strip()
    for name, text in _ATTRIBUTE.findall(found[1]):
        schema["properties"][name]["description"] = " ".join(text.split())


def _closed(node: Any) -> Any:
    """The schema with names that break their pattern refused; pydantic's own lets them pass unchecked."""
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(value) for key, value in node.items()}
    return {**closed, "additionalProperties": False} if "patternProperties" in node else closed


def write_schemas(folder: File) -> None:
    """Writes every kind's schema as `<kind>.schema.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        (folder / f"{kind}.schema.json").write_text(schema_text(kind), encoding="utf-8")


if __name__ == "__main__":
    write_schemas(File(sys.argv[1] if len(sys.argv) > 1 else "docs/schemas"))
