"""Asks a Python interpreter what the Python backend needs to know about it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from corntriton.errors import Problem, UserError

_QUESTIONS = """
import json, sys, sysconfig
try:
    import numpy
    numpy_version = numpy.__version__
except ImportError:
    numpy_version = None
print(json.dumps({
    "executable": sys.executable,
    "version": "%d.%d" % sys.version_info[:2],
    "numpy": numpy_version,
    "site_packages": sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}),
    "library_dir": sysconfig.get_config_var("LIBDIR"),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """The Python that runs the components.

    Attributes:
        executable: Inside its virtual environment, links not resolved.
        version: `3.11`.
        numpy: The version of its numpy, or None.
        site_packages: Where its packages lie.
        library_dir: Where its libpython lies, if it has a shared one.
    """

    executable: Path
    version: str
    numpy: str | None
    site_packages: tuple[Path, ...]
    library_dir: Path


def ask_interpreter(python: str | None = None) -> Interpreter:
    """Runs the interpreter, the one that runs corntriton by default, and has it describe itself.

    Raises:
        UserError: It does not exist, or does not run.
    """
    python = python or sys.executable
    found = shutil.which(os.path.expanduser(python))
    if found is None:
        raise _unusable(python, "there is no such program")
    answer = subprocess.run([found, "-c", _QUESTIONS], capture_output=True, text=True)
    if answer.returncode != 0:
        raise _unusable(python, f"it does not run: {answer.stderr.strip().splitlines()[-1:]}")
    # Packages may print while they are imported; the answer comes last.
    data = json.loads(answer.stdout.splitlines()[-1])
    return Interpreter(
        Path(data["executable"]),
        data["version"],
        data["numpy"],
        tuple(Path(folder) for folder in data["site_packages"]),
        Path(data["library_dir"]),
    )


def _unusable(python: str, why: str) -> UserError:
    return UserError([Problem("--python", python, why, "name the python of an environment")])
