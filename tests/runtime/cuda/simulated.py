"""The simulated driver: built from driver/*.c, and found by the loader in place of NVIDIA's."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

_SOURCES = Path(__file__).parent / "driver"
_FLAGS = [
    "-std=gnu11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-pthread",
]
_LIBRARIES = {
    "libcuda.so.1": ("place.c", "devices.c", "memory.c", "streams.c", "events.c", "entry.c"),
    "libnvidia-ml.so.1": ("place.c", "nvml.c"),
}


# A server would take the simulated driver for a GPU of its own, and find that it has half of the functions.
_FOR_WORKERS = """\
import ctypes, sys
if any("corntriton.runtime.worker" in argument for argument in sys.orig_argv):
    for library in {libraries}:
        ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
"""


def build(folder: Path) -> Path:
    """Builds the libraries into the folder.

    Raises:
        RuntimeError: There is no compiler, or it refuses.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise RuntimeError("the simulated CUDA driver needs a C compiler; To fix: install gcc")
    for name, sources in _LIBRARIES.items():
        command = [compiler, *_FLAGS, f"-Wl,-soname,{name}", "-o", str(folder / name)]
        command += [str(_SOURCES / source) for source in sources]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            raise RuntimeError(f"the simulated CUDA driver does not build:\n{made.stderr}")
    return folder


def load(folder: Path) -> None:
    """Makes this process use it: who asks for a library of a name that is loaded gets that one."""
    for name in _LIBRARIES:
        ctypes.CDLL(str(folder / name), mode=ctypes.RTLD_GLOBAL)


def calls(folder: Path, function: str) -> int:
    """How often this process has called a function of the driver."""
    count = ctypes.CDLL(str(folder / "libcuda.so.1")).simulated_calls
    return int(count(function.encode()))


def environment(folder: Path, directory: Path) -> dict[str, str]:
    """Makes another process use it; those with the same directory share their devices."""
    paths = [str(folder), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return {"LD_LIBRARY_PATH": ":".join(paths), "SIMULATED_CUDA_DIR": str(directory)}


def environment_of_server(folder: Path, directory: Path) -> dict[str, str]:
    """Makes the processes use it that a tritonserver starts for components, and neither it nor its stubs."""
    libraries = [str(folder / name) for name in _LIBRARIES]
    (folder / "sitecustomize.py").write_text(_FOR_WORKERS.format(libraries=libraries))
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": ":".join(paths), "SIMULATED_CUDA_DIR": str(directory)}
