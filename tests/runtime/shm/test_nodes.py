"""Which memory is one: what has another directory for its arenas is another node, on one machine too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from corntriton.runtime.shm.errors import InvalidRefError, NoDirectoryError
from corntriton.runtime.shm.layout import node_of
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.ref import Ref
from corntriton.runtime.shm.regions import DIRECTORY_VARIABLE

_ROOT = Path(__file__).parents[3]
_SHOW = "from corntriton.runtime.shm.regions import *; print(DIRECTORY, *Regions().node)"


def shown(**variables: str) -> str:
    environment = {**os.environ, **variables}
    run = subprocess.run(
        [sys.executable, "-c", _SHOW], env=environment, cwd=_ROOT, capture_output=True, text=True
    )
    return run.stdout.strip()


def test_a_ref_to_another_nodes_memory_is_refused_and_says_whose_it_is(directory, owner):
    (directory / "other").mkdir()
    other = SharedMemory(1 << 20, n_requests=1, directory=directory / "other")
    packed = other.arena.put(np.arange(100), other.owner.enter().tag)
    assert Ref.unpack(packed).node == other.regions.node == node_of(directory / "other")
    assert other.regions.node != owner.regions.node
    with pytest.raises(InvalidRefError, match="of another node"):
        owner.reader.read(packed)
    assert other.reader.read(packed).tolist() == [*range(100)]
    other.close()


def test_the_environment_says_where_arenas_lie(directory):
    assert (
        shown(**{DIRECTORY_VARIABLE: str(directory)})
        == f"{directory} {' '.join(map(str, node_of(directory)))}"
    )
    everywhere = Path("/dev/shm")
    for unset in ({}, {DIRECTORY_VARIABLE: ""}):
        assert shown(**unset) == f"{everywhere} {' '.join(map(str, node_of(everywhere)))}"


def test_another_way_to_the_same_directory_is_the_same_node(directory):
    (directory / "real").mkdir()
    (directory / "link").symlink_to("real")
    assert node_of(directory / "link") == node_of(directory / "real")


def test_what_is_no_directory_is_refused_with_the_variable_that_says_so(directory):
    with pytest.raises(NoDirectoryError, match=f"missing is no directory.*{DIRECTORY_VARIABLE}"):
        SharedMemory(1 << 20, directory=directory / "missing")
