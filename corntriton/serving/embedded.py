"""Makes the tritonserver of nvidia-pytriton's wheel runnable: backends, libraries, interpreter.

The wheel keeps its Python backend and one stub per Python version in folders that tritonserver does not
understand; a folder of links in the user's cache puts them together as it wants them.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from corntriton.errors import Problem, Problems, UserError
from corntriton.serving.find import Installation
from corntriton.serving.interpreter import Interpreter

_STUB = "triton_python_backend_stub"
_GLIBC_NEEDED = (2, 35)


def embedded_environment(installation: Installation, interpreter: Interpreter) -> dict[str, str]:
    """The environment variables that this server and its stubs need beside the present ones."""
    libraries = [installation.root.parent.parent / "nvidia_pytriton.libs", interpreter.library_dir]
    given = os.environ.get("LD_LIBRARY_PATH", "")
    return {"LD_LIBRARY_PATH": ":".join([*map(str, libraries), *filter(None, [given])])}


def check_embedded(installation: Installation, interpreter: Interpreter) -> None:
    """Refuses what is known not to work with this server.

    Raises:
        UserError: An old glibc; numpy 2, with which tensors arrive empty or as garbage while the server
            reports that it is ready; no stub for the Python version, or one that does not load.
    """
    problems = Problems()
    glibc = platform.libc_ver()[1]
    if tuple(int(part) for part in glibc.split(".")[:2] if part) < _GLIBC_NEEDED:
        needed = ".".join(map(str, _GLIBC_NEEDED))
        what = f"the embedded server needs glibc {needed}, this is {glibc or 'none'}"
        fix = "use a newer system, or the container that --print-command shows"
        problems.add("tritonserver", "glibc", what, fix)
    _check_numpy(interpreter, problems)
    _check_stub(installation, interpreter, problems)
    problems.raise_if_any()


def _check_numpy(interpreter: Interpreter, problems: Problems) -> None:
    python = str(interpreter.executable)
    fix = f"{python} -m pip install 'numpy<2'"
    if interpreter.numpy is None:
        problems.add(python, "numpy", "this interpreter has no numpy, which the Python backend needs", fix)
    elif int(interpreter.numpy.split(".")[0]) >= 2:
        what = f"with numpy {interpreter.numpy} the embedded server corrupts tensors and says nothing"
        problems.add(python, "numpy", what, fix)


def _check_stub(installation: Installation, interpreter: Interpreter, problems: Problems) -> None:
    python = str(interpreter.executable)
    if not (interpreter.executable.parent / "python3").exists():
        what = "its folder holds no python3, by which the Python backend would find it"
        problems.add(python, "python3", what, "use the python of a virtual environment")
    stubs = installation.root / "python_backend_stubs"
    stub = stubs / interpreter.version / _STUB
    if not stub.exists():
        there = ", ".join(sorted((folder.name for folder in stubs.iterdir()), key=lambda name: int(name[2:])))
        what = f"the embedded server has no stub for Python {interpreter.version}, only for {there}"
        problems.add(python, "version", what, "name another interpreter with --python")
        return
    # Without arguments it only complains about that, once the loader has found its libraries.
    environment = {**os.environ, **embedded_environment(installation, interpreter)}
    trial = subprocess.run([stub], env=environment, capture_output=True, text=True)
    if "error while loading shared libraries" in trial.stderr:
        what = f"the stub for Python {interpreter.version} does not load: {trial.stderr.strip()}"
        fix = f"apt-get install libpython{interpreter.version}, or name another interpreter with --python"
        problems.add(python, "libpython", what, fix)


def prepare_backends(installation: Installation, interpreter: Interpreter) -> Path:
    """The folder for --backend-directory; made once per wheel and Python version, safe against another maker.

    Raises:
        UserError: The cache folder cannot be written.
    """
    sources = [
        *(installation.root / "backends" / "python").glob("[!_]*"),
        installation.root / "python_backend_stubs" / interpreter.version / _STUB,
    ]
    # Named after what it links to, so one that exists is right.
    name = hashlib.sha256("\n".join(sorted(map(str, sources))).encode()).hexdigest()[:16]
    folder = cache_dir() / "backends" / name
    try:
        if not folder.exists():
            _link_all(sources, folder)
    except OSError as error:
        fix = "make it writable, or set XDG_CACHE_HOME to a folder that is"
        what = f"cannot be written: {error.strerror}"
        raise UserError([Problem(str(folder.parent), "cache", what, fix)]) from error
    return folder


def cache_dir() -> Path:
    """Where corntriton keeps what it can make again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "corntriton"


def _link_all(sources: list[Path], folder: Path) -> None:
    """Makes folder/python with a link to each source, in one step."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
    (draft / "python").mkdir()
    for source in sources:
        (draft / "python" / source.name).symlink_to(source)
    try:
        draft.rename(folder)
    except OSError:
        shutil.rmtree(draft)
        if not folder.exists():  # not lost to another maker: a real failure
            raise
