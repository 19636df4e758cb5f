"""The models that bench_orchestrator.py compares, and a server that holds all of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from corntriton.repository.build import build
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server
from corntriton.spec.load import load_models

DIMS = 4
_FOLDER = Path(__file__).parent
_CONFIG = """backend: "python"
max_batch_size: 1
input [ {{ name: "x" data_type: TYPE_FP32 dims: [ {dims} ] }} ]
output [ {{ name: "y" data_type: TYPE_FP32 dims: [ {dims} ] }} ]
instance_group [ {{ kind: KIND_CPU count: {count} }} ]
parameters {{ key: "chain" value {{ string_value: "{chain}" }} }}
"""


@dataclass(frozen=True)
class Contestant:
    """A model that answers the same requests as the others of its group.

    Attributes:
        name: As the table has it.
        model: The Triton model.
        shape: Of its input.
        bar: The least ratio of the orchestrator's rate to this one's; None where it is only shown.
    """

    name: str
    model: str
    shape: tuple[int, ...] = (1, DIMS)
    bar: float | None = None


@dataclass(frozen=True)
class Group:
    """An orchestrator and those that do the same by hand.

    Attributes:
        name: What their components do.
        ours: The orchestrator's model.
        others: What it is compared with.
        added: What the chain adds to its input.
        clients: How many ask at once.
    """

    name: str
    ours: Contestant
    others: tuple[Contestant, ...]
    added: float
    clients: int


GROUPS = (
    Group(
        "3 components sleep 20 ms, 8 instances each",
        Contestant("orchestrator", "sleeping", (DIMS,)),
        (
            Contestant("BLS, 8 instances", "sleeping_by_hand_8", bar=2.0),
            Contestant("BLS, 24 instances", "sleeping_by_hand_24"),
        ),
        added=3,
        clients=48,
    ),
    Group(
        "3 components compute nothing, 1 instance each",
        Contestant("orchestrator", "idle", (DIMS,)),
        (
            Contestant("BLS, 1 instance", "idle_by_hand", bar=0.9),
            Contestant("all by hand", "all_by_hand"),
        ),
        added=0,
        clients=8,
    ),
)


@contextmanager
def serving() -> Iterator[Server]:
    """A server with all contestants; the models by hand call the very components that ours calls."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        build(load_models([_FOLDER / "sleeping", _FOLDER / "idle"]), out)
        deployment = read_deployment(out)
        for name, chain, count in (
            ("sleeping_by_hand_8", _chain("sleeping__{}"), 8),
            ("sleeping_by_hand_24", _chain("sleeping__{}"), 24),
            ("idle_by_hand", _chain("idle__{}"), 1),
            ("all_by_hand", _chain("{}_by_hand"), 1),
        ):
            _write_by_hand(deployment.repository, name, "chain.py", count, chain)
        for name in _chain("{}_by_hand").split():
            _write_by_hand(deployment.repository, name, "nothing.py", 1)
        with Server(deployment, find_launcher()) as server:
            yield server


def _chain(pattern: str) -> str:
    return " ".join(pattern.format(place) for place in ("first", "second", "third"))


def _write_by_hand(repository: Path, name: str, code: str, count: int, chain: str = "") -> None:
    (repository / name / "1").mkdir(parents=True)
    shutil.copy(_FOLDER / "by_hand" / code, repository / name / "1" / "model.py")
    (repository / name / "config.pbtxt").write_text(_CONFIG.format(dims=DIMS, count=count, chain=chain))
