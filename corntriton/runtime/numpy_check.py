"""Knows the servers whose Python backend does not understand numpy 2."""

from __future__ import annotations

import os

import numpy as np

# https://github.com/triton-inference-server/python_backend/pull/384 moved to pybind11 2.12, which knows
# numpy 2; branch r24.11, server 2.52, is the first to have it. Before, output tensors arrive empty at
# the client (seen with 2.51 and numpy 2.3) and nothing is logged.
_FIRST_WITH_NUMPY_2 = (2, 52)


def numpy_problem() -> str | None:
    """Why this server must not run with this numpy; None if it may, or if its version is unknown."""
    if int(np.__version__.split(".")[0]) < 2:
        return None
    version = _server_version()
    if version is None or version >= _FIRST_WITH_NUMPY_2:
        return None
    shown = ".".join(map(str, version))
    return f"numpy {np.__version__} with tritonserver {shown} corrupts tensors; To fix: install 'numpy<2'"


def _server_version() -> tuple[int, int] | None:
    """From the variable that NVIDIA's images set, else from where the server's program lies."""
    text = os.environ.get("TRITON_SERVER_VERSION", "")
    if not text and "/pytriton/tritonserver/" in _parent_program():
        text = "2.51"  # the wheel nvidia-pytriton 0.7, the last one
    parts = text.split(".")
    return (int(parts[0]), int(parts[1])) if len(parts) >= 2 and "".join(parts[:2]).isdigit() else None


def _parent_program() -> str:
    try:
        return os.readlink(f"/proc/{os.getppid()}/exe")
    except OSError:
        return ""
