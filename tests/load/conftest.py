"""The tiny model of tests/e2e, served, as a deployment to put load on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from corntriton.repository.build import build
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server
from corntriton.spec.load import load_models

TINY = Path(__file__).parents[1] / "e2e" / "models" / "tiny"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("build") / "out"
    build(load_models([TINY]), folder)
    with Server(read_deployment(folder), find_launcher(), exit_timeout_s=10) as server:
        yield server
