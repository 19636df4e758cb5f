"""Finds the files that ship beside the code: templates and model.py shims, in a wheel or in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_dir(name: str) -> Path:
    """`model_repository_templates`, `python_backends` or `tools`, wherever this installation keeps it."""
    packed = _PACKAGE / "_resources" / name
    return packed if packed.is_dir() else _PACKAGE.parent / name
