"""What bench_omni.py compares, each on a server of its own: the example planned, one of each, one by hand."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import get_weights
import plans
import yaml

from corntriton.planner.plan import Plan
from corntriton.planner.reading import read_plan
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server

_ROOT = Path(__file__).resolve().parents[2]
OMNI = _ROOT / "examples" / "omni"
MODEL = "omni"
PLANNED, HERE, ONE_EACH = "planned", "planned_here", "one_each"
# The cores that a component was profiled on, and so those of a slot.
SLOT_CORES = 2
_BY_HAND = Path(__file__).parent / "omni" / "by_hand"
_GIB = 2**30


@dataclass(frozen=True)
class ByHand:
    """A monolith as one may deploy it.

    Attributes:
        instances: Triton's, each a process with all components.
        batching: Triton joins requests that wait, where they bring the same inputs.
    """

    instances: int
    batching: bool = False


# In each, whatever runs has two threads: nothing else of its process runs at that time.
MONOLITHS = {
    "monolith_1": ByHand(1),
    "monolith_1_batching": ByHand(1, batching=True),
    "monolith_2": ByHand(2),
}
THREADS = 2


@dataclass(frozen=True)
class Contestant:
    """A server with the example's models.

    Attributes:
        name: As the tables have it.
        server: It runs.
        batched: Its model's tensors have a batch dimension in front.
        says: What it is, in few words.
    """

    name: str
    server: Server
    batched: bool
    says: str


@contextmanager
def serving(name: str, folder: Path) -> Iterator[Contestant]:
    """Plans, builds or writes a contestant into the folder, and serves it."""
    os.environ["CORNTRITON_WEIGHTS"] = str(get_weights.get_weights())
    folder.mkdir(parents=True)
    says = _write(name, folder)
    with Server(read_deployment(folder / "build"), find_launcher()) as server:
        yield Contestant(name, server, name in MONOLITHS, says)


def cores() -> int:
    """Those that this process, and so every server, may use."""
    return len(os.sched_getaffinity(0))


def config_by_hand(way: ByHand, weights: Path) -> str:
    """The monolith's config.pbtxt."""
    filled = {
        "INSTANCES": way.instances,
        "BATCHING": "dynamic_batching { }" if way.batching else "",
        "THREADS": THREADS,
        "WEIGHTS": weights,
        "DIGITS": OMNI / "data" / "digit_unet",
    }
    lines = (_BY_HAND / "config.pbtxt").read_text().splitlines()[1:]
    text = "\n".join(lines)
    for word, value in filled.items():
        text = text.replace(word, str(value))
    return text + "\n"


def _write(name: str, folder: Path) -> str:
    if name in MONOLITHS:
        return _write_by_hand(MONOLITHS[name], folder / "build")
    if name == ONE_EACH:
        plans.run("build", plans.MODEL, "-o", folder / "build", "--link")
        return "each component a model of its own, instances as in model.yaml"
    return _executors(
        plans.make_plan(plans.WAYS["chosen"], folder) if name == PLANNED else _plan_here(folder)
    )


def _write_by_hand(way: ByHand, repository: Path) -> str:
    version = repository / MODEL / "1"
    version.mkdir(parents=True)
    shutil.copy(_BY_HAND / "monolith.py", version / "model.py")
    shutil.copytree(OMNI / "components", version / "components")
    config = config_by_hand(way, Path(os.environ["CORNTRITON_WEIGHTS"]))
    (repository / MODEL / "config.pbtxt").write_text(config)
    batching = ", dynamic batching" if way.batching else ""
    return f"all components in one model.py, {way.instances} instance(s){batching}"


def _plan_here(folder: Path) -> Plan:
    """The plan for what this machine is: its cores in slots of two, its memory shared among them."""
    slots = max(1, cores() // SLOT_CORES)
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB / slots
    cluster = yaml.safe_load((OMNI / "cluster.yaml").read_text())
    cluster["devices"]["cpu"]["memory_gib"] = round(memory_gib, 1)
    cluster["nodes"]["machine"]["devices"]["cpu"] = slots
    (folder / "cluster.yaml").write_text(yaml.safe_dump(cluster, sort_keys=False))
    files = [f"--workload={OMNI}/workload.yaml", f"--cluster={folder}/cluster.yaml"]
    plan = folder / "plan.json"
    plans.run("plan", plans.MODEL, *files, f"--profiles={OMNI}/profiles.json", "--maximize", "-o", plan)
    plans.run("build", plans.MODEL, "--plan", plan, "-o", folder / "build", "--link")
    return read_plan(plan)


def _executors(plan: Plan) -> str:
    return "; ".join(plans.instances(plan).splitlines())
