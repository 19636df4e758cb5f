"""Writes the JSON Schemas that editors use: `python -m corntriton.spec.schemas [docs/schemas]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path as File
from typing import Any

from pydantic import BaseModel

from corntriton.spec.cluster import Cluster
from corntriton.spec.model import ModelSpec
from corntriton.spec.profiles import Profiles
from corntriton.spec.workload import Workload

_BASE = "https://github.com/corntriton/corntriton/blob/main/docs/schemas"

# Each kind of file that a user may write, and the type that says what is in it.
KINDS: dict[str, type[BaseModel]] = {
    "model": ModelSpec,
    "workload": Workload,
    "cluster": Cluster,
    "profiles": Profiles,
}


def schema_text(kind: str) -> str:
    """The schema of a kind of file, as it is committed."""
    schema = _closed(KINDS[kind].model_json_schema())
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"{_BASE}/{kind}.schema.json"}
    return json.dumps({**head, **schema}, indent=2, ensure_ascii=False) + "\n"


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
