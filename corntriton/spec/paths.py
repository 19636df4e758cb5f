"""Paths that a user wrote: variables expanded, looked up beside the file that names them."""

from __future__ import annotations

import os
import re
from pathlib import Path as File

from corntriton.spec.files import Spot
from corntriton.spec.validation import did_you_mean

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


def expand(text: str, spot: Spot) -> str | None:
    """The text with $VAR and ${VAR} replaced from the environment; None, noted, where one is unset."""
    names = [plain or braced for plain, braced in _VARIABLE.findall(text)]
    unset = sorted({name for name in names if name not in os.environ})
    if unset:
        what = f"uses ${', $'.join(unset)}, which no environment variable sets"
        spot.note(what, f"export {unset[0]}=…, or write the path out")
        return None
    return _VARIABLE.sub(lambda match: os.environ[match[1] or match[2]], text)


def existing(text: str, spot: Spot) -> File | None:
    """The absolute path of a file or folder that is there; None, noted, where it is not.

    Links stay as they are: caches of weights name their blobs by hash and the links by file name.
    """
    expanded = expand(text, spot)
    if expanded is None:
        return None
    path = File(os.path.abspath(spot.document.folder / File(expanded).expanduser()))
    try:
        path.stat()
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        what = f"{path} does not exist" if missing else f"{expanded!r} cannot be read: {error}"
        spot.note(what, _nearby(path, spot.document.folder))
        return None
    return path


def _nearby(path: File, folder: File) -> str:
    try:
        there = {file.stem: file.name for file in path.parent.iterdir()}
    except (OSError, ValueError):
        there = {}
    meant = did_you_mean(path.stem, there)
    if meant:
        return f"write {there[meant]}, which is there"
    return f"put it there, or correct the path, which starts at {os.path.abspath(folder)}"
