"""What the models of a build say of themselves: the settings that their processes read when they start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path as File
from typing import Any

from corntriton.repository import pbtxt
from corntriton.repository.manifest import ModelEntry

_SETTINGS = ("component.json", "executor.json", "orchestrator.json", "transfer.json")
_CONFIG = "config.pbtxt"


def settings_of(repository: File, model: ModelEntry) -> Mapping[str, Any]:
    """As plain data; nothing for a model that has none."""
    for name in _SETTINGS:
        if f"1/{name}" in model.files:
            settings: Mapping[str, Any] = json.loads(
                (repository / model.name / "1" / name).read_text("utf-8")
            )
            return settings
    return {}


def steps_of(repository: File, model: ModelEntry) -> frozenset[str]:
    """The models that an ensemble is made of."""
    config = pbtxt.parse((repository / model.name / _CONFIG).read_text(encoding="utf-8"))
    return frozenset(step.model_name for step in config.ensemble_scheduling.step)


def fingerprint(repository: File, model: ModelEntry) -> tuple[object, ...]:
    """Equal for models that do the same; the comments of a config may tell different nodes' rates."""
    config = pbtxt.parse((repository / model.name / _CONFIG).read_text(encoding="utf-8"))
    files = tuple(sorted((path, sha256) for path, sha256 in model.files.items() if path != _CONFIG))
    return (model.name, model.kind, pbtxt.written(config), files)
