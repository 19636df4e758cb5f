"""A directory of shared memory of the test's own, and processes of memory that are not processes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from corntriton.runtime.shm.memory import SharedMemory

Make = Callable[..., SharedMemory]


@pytest.fixture
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="test-arena-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def make(directory: Path) -> Iterator[Make]:
    """Locks belong to open files, so several parties may live in one process as they would in several."""
    made = []

    def one(max_bytes: int = 1 << 20, **sizes: int) -> SharedMemory:
        made.append(SharedMemory(max_bytes, directory=directory, **sizes))
        return made[-1]

    yield one
    for memory in made:
        memory.close()


@pytest.fixture
def owner(make: Make) -> SharedMemory:
    return make(n_requests=8)


@pytest.fixture
def producer(make: Make) -> SharedMemory:
    return make()


@pytest.fixture
def consumer(make: Make) -> SharedMemory:
    return make()
