"""The simulated driver in this process and the others, and a world on it.

Variables that the driver reads when it starts are set before anything asks for CUDA in this process.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.cuda import simulated

# Work that takes a while is late already by the driver's own delays.
_SMALL = {"SCRATCH_BYTES": "4096", "SCRATCH_FILLS": "10"}


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder with the simulated driver, which this process uses from now on."""
    folder = simulated.build(tmp_path_factory.mktemp("driver"))
    directory = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="test-simulated-cuda-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        for name, value in {**_SMALL, "SIMULATED_CUDA_DIR": str(directory)}.items():
            patch.setenv(name, value)
        simulated.load(folder)
        yield folder
    shutil.rmtree(directory)


@pytest.fixture
def world(driver: Path) -> Iterator:
    from tests.runtime.cuda.world import World

    directory = Path(os.environ["SIMULATED_CUDA_DIR"])
    world = World(simulated.environment(driver, directory))
    yield world
    world.close()


@pytest.fixture
def second_gpu(world) -> str:
    """The name of another device that can read this one's memory."""
    return "cuda:1"
