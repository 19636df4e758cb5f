from __future__ import annotations

import numpy as np
import pytest

from corntriton.runtime.numpy_check import numpy_problem


@pytest.mark.parametrize(
    ("numpy", "server", "refused"),
    [
        ("1.26.4", "2.51.0", False),
        ("2.1.0", "2.51.0", True),
        ("2.1.0", "2.52.0", False),
        ("2.1.0", "", False),
    ],
)
def test_numpy_2_is_refused_under_servers_that_corrupt_its_tensors(monkeypatch, numpy, server, refused):
    monkeypatch.setattr(np, "__version__", numpy)
    monkeypatch.setenv("TRITON_SERVER_VERSION", server)
    problem = numpy_problem()
    assert (problem is not None) == refused
    if refused:
        assert problem == "numpy 2.1.0 with tritonserver 2.51 corrupts tensors; To fix: install 'numpy<2'"
