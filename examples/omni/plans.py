"""Plans the example in three ways, builds and serves each, and compares what they answer, byte for byte.

    python examples/omni/plans.py [--output demo-output/plans]

    workload.yaml + hints ──corntriton plan──> plan.json ──corntriton build──> served ──> answers

The ways: as the planner chooses; all components in one process, a monolith; and each in a process of its
own, full disaggregation. Leaves with status 1 when an answer is wrong, or differs between plans.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import get_weights
import numpy as np
import yaml
from demo import CONSOLE, MODEL, converse
from rich.table import Table
from session import Exchange, Session

from corntriton.planner.plan import Plan
from corntriton.planner.reading import read_plan
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server
from corntriton.spec.load import load_models

HERE = Path(__file__).parent
COMPONENTS = ["asr_encoder", "asr_decoder", "ocr", "chat", "voice", "embedder", "painter"]


@dataclass(frozen=True)
class Way:
    """What is other than in workload.yaml and cluster.yaml, and which cluster it is for."""

    hints: Mapping[str, Any] = field(default_factory=dict)
    slot: Mapping[str, float] = field(default_factory=dict)
    cluster: str = "cluster.yaml"


WAYS = {
    "chosen": Way(),
    "monolith": Way({"colocate": [COMPONENTS]}, {"memory_gib": 4}),  # the slots' own 2 GiB do not hold it
    "full disaggregation": Way({"separate": [COMPONENTS]}),
}
# On three nodes: whatever takes what a request brings on one of them, the rest on two.
SENSES = ["asr_encoder", "ocr", "embedder"]
THREE_NODES = Way(
    {"pin": {name: {"nodes": ["senses" if name in SENSES else "talk"]} for name in COMPONENTS}},
    cluster="cluster-three.yaml",
)
THREE_NODES_HZ = 1.2  # what needs two nodes of the second sort


def make_plan(way: Way, folder: Path, rate_hz: float | None = None) -> Plan:
    """Runs `corntriton plan` and `corntriton build`, as one would by hand; what they write is in the folder.

    Args:
        way: Which plan.
        folder: Made.
        rate_hz: Instead of the workload's.
    """
    os.environ["CORNTRITON_WEIGHTS"] = str(get_weights.get_weights())
    folder.mkdir(parents=True, exist_ok=True)
    workload, cluster = (yaml.safe_load((HERE / name).read_text()) for name in ("workload.yaml", way.cluster))
    workload.update(hints=dict(way.hints), rate_hz=rate_hz or workload["rate_hz"])
    cluster["devices"]["cpu"].update(way.slot)
    for name, data in (("workload", workload), ("cluster", cluster)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    inputs = [f"--workload={folder}/workload.yaml", f"--cluster={folder}/cluster.yaml"]
    plan = folder / "plan.json"
    run("plan", MODEL, *inputs, f"--profiles={HERE}/profiles.json", "-o", plan, "--no-compare")
    run("build", MODEL, "--plan", plan, "-o", folder / "build", "--link")
    return read_plan(plan)


def run(*words: str | Path) -> None:
    """A command of corntriton."""
    corntriton = Path(sys.executable).with_name("corntriton")
    subprocess.run([corntriton, *words], check=True, stdout=subprocess.DEVNULL)


def served(folder: Path) -> Server:
    """A server of the folder's build."""
    return Server(read_deployment(folder / "build"), find_launcher())


def session(server: Server) -> Session:
    """Clients of the served example."""
    return Session(server, load_models([MODEL])[0])


def bits(exchange: Exchange) -> dict[str, str | bytes]:
    """An answer in a form that is equal only to the last bit."""
    return {
        output: value.tobytes() if isinstance(value, np.ndarray) else value
        for output, value in exchange.answer.items()
    }


def instances(plan: Plan) -> str:
    """A line for each executor."""
    return "\n".join(
        f"{len(each.instances)} x {' + '.join(each.components)}".replace("omni/", "")
        for each in plan.executors
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Compares the answers of the omni example under three plans."
    )
    parser.add_argument(
        "--output", type=Path, default=Path("demo-output/plans"), help="folder for plans and builds"
    )
    root = parser.parse_args().output
    table = Table("plan", "instances", "slots", "loaded in", "answers", show_lines=True)
    first: list[Exchange] = []
    failures = 0
    for name, way in WAYS.items():
        folder = root / name.replace(" ", "-")
        plan = make_plan(way, folder)
        began_s = time.monotonic()
        with CONSOLE.status(f"{name}: loading, then one request of each type"), served(folder) as server:
            loaded_s = time.monotonic() - began_s
            exchanges = list(converse(session(server)))
        first = first or exchanges
        right = sum(exchange.right for exchange in exchanges)
        equal = sum(bits(one) == bits(other) for one, other in zip(first, exchanges, strict=True))
        failures += 2 * len(exchanges) - right - equal
        table.add_row(
            name,
            instances(plan),
            f"{plan.totals.devices['cpu']} x {plan.cluster.devices['cpu'].memory_gib:g} GiB",
            f"{loaded_s:.0f} s",
            f"{right} of {len(exchanges)} right\n{equal} equal to the first plan's",
        )
    CONSOLE.print(table)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
