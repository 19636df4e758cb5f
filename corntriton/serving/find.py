"""Finds a tritonserver: the one given, the one on PATH, or the one in nvidia-pytriton's wheel."""

from __future__ import annotations

import os
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from corntriton.errors import Problem, UserError
from corntriton.serving.interpreter import Interpreter

_IN_WHEEL = Path("pytriton/tritonserver/bin/tritonserver")


@dataclass(frozen=True)
class Installation:
    """A tritonserver.

    Attributes:
        binary: The program.
        embedded: It comes from nvidia-pytriton's wheel: it has only the Python backend, and needs its
            libraries, backends and stubs pointed out to it.
    """

    binary: Path
    embedded: bool

    @property
    def root(self) -> Path:
        """The folder that holds bin/ and backends/."""
        return self.binary.parent.parent


def find_tritonserver(given: str | None, interpreter: Interpreter) -> Installation:
    """The first tritonserver there is: given, on PATH, in the interpreter's packages, in corntriton's own.

    Raises:
        UserError: There is none, or not where it was said to be; names every place that was looked at.
    """
    if given is not None:
        found = shutil.which(os.path.expanduser(given))
        if found is None:
            fix = "give the path of the program"
            raise UserError([Problem("--tritonserver", given, "there is no such program", fix)])
        return _installation(Path(found))
    on_path = shutil.which("tritonserver")
    if on_path is not None:
        return _installation(Path(on_path))
    own = tuple(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib"))
    wheels = [folder / _IN_WHEEL for folder in dict.fromkeys((*interpreter.site_packages, *own))]
    for binary in wheels:
        if binary.exists():
            return _installation(binary)
    raise UserError([_not_found(wheels)])


def _installation(binary: Path) -> Installation:
    resolved = binary.resolve()
    return Installation(resolved, (resolved.parent.parent / "python_backend_stubs").is_dir())


def _not_found(wheels: list[Path]) -> Problem:
    looked_at = ", ".join(["the folders of PATH", *map(str, wheels)])
    fix = (
        "pip install 'corntriton[server]' for the embedded one, or name one with --tritonserver PATH, "
        "or run the container that --print-command shows"
    )
    return Problem("tritonserver", looked_at, "no tritonserver there", fix)
