"""Puts files into a model directory: the runtime as an archive, code, weights."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path as File

import corntriton

_PACKED = ("__init__.py", "errors.py", "record/*.py", "runtime/*.py", "runtime/*/*.py")
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first time that a zip can hold


def runtime_archive() -> bytes:
    """What the shims import: corntriton's `record` and `runtime`, the same bytes for the same sources."""
    package = File(corntriton.__file__).parent
    files = sorted(file for pattern in _PACKED for file in package.glob(pattern))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in files:
            entry = zipfile.ZipInfo(str(file.relative_to(package.parent)), _EARLIEST)
            entry.external_attr = 0o644 << 16
            # Stored: other versions of zlib would deflate to other bytes.
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_STORED)
    return buffer.getvalue()


def pack_code(sources: Iterable[File], folder: File) -> None:
    """Copies files and folders of code to the top of a folder, without caches and hidden files."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        if source.is_dir():
            shutil.copytree(source, folder / source.name, copy_function=shutil.copyfile, ignore=_litter)
        else:
            shutil.copyfile(source, folder / source.name)


def place_weights(source: File, target: File, link: bool) -> None:
    """Copies a file or folder of weights, links followed, or links to it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        target.symlink_to(source.resolve())
    elif source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, target)


def files_below(folder: File) -> list[File]:
    """Every file below a folder, links followed, sorted by path."""
    found = [File(base) / name for base, _, names in os.walk(folder, followlinks=True) for name in names]
    return sorted(found, key=lambda file: file.relative_to(folder).as_posix())


def _litter(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__" or name.startswith(".") or name.endswith(".pyc")]
