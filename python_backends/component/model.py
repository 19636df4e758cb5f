"""Hosts one component in Triton's Python backend; the code lies in corntriton_runtime.zip beside it."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "corntriton_runtime.zip"))

from corntriton.runtime.host import ComponentHost  # noqa: E402


class TritonPythonModel(ComponentHost):
    """What the backend looks for."""

    folder = HERE
