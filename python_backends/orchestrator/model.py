"""Triton loads this file; the orchestrator itself lies in the archive beside it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "corntriton_runtime.zip"))

from corntriton.runtime.orchestrator import TritonPythonModel  # noqa: F401
