"""Prints what plans serve beside the usual deployments: `python tools/plan_table.py [--json FILE] [MODEL…]`.

Each model of examples/paper at its two mixes: the plan that serves the most on the cluster, and the goodput
of the monolith, of full disaggregation and of the best single topology on as many devices, all simulated with
the same requests. A ratio near 1 says that splitting, or joining, gains nothing there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from corntriton.planner.contest import APART, MONOLITH, SINGLE  # noqa: E402
from corntriton.planner.decide import Decision, decide  # noqa: E402
from corntriton.planner.planning import Options  # noqa: E402
from corntriton.planner.rivals import Rival  # noqa: E402
from tools.bench_planner import MIXES, MODELS, paper_task  # noqa: E402

GAIN = 1.05  # less is within the noise of the simulations
RIVALS = (MONOLITH, APART, SINGLE)
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)}; default: all")
    parser.add_argument("--devices", type=int, choices=(8, 16), default=8)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows")
    arguments = parser.parse_args()
    rows = []
    for model in arguments.models or MODELS:
        for mix in MIXES:
            print(f"planning {model}, {mix}", file=sys.stderr)
            rows.append(measured(model, mix, arguments.devices))
    Console(highlight=False, width=None if sys.stdout.isatty() else 150).print(table(rows, arguments.devices))
    for row in rows:
        for name in (MONOLITH, APART):
            ratio = row["over"][name]
            if ratio is not None and ratio < GAIN:
                print(f"{row['model']}, {row['mix']}: {name} does as well ({ratio:.2f})")
    if arguments.json:
        arguments.json.write_text(json.dumps({"results": rows}, indent=1) + "\n", encoding="utf-8")


def measured(model: str, mix: str, devices: int) -> Row:
    """One row: rates in requests per second, ratios of them, and CPU seconds of the whole search."""
    task = paper_task(model, mix, devices)
    started_s = time.process_time()
    decision = decide(task, Options("served"))
    rate_hz = sum(demand.rate_hz for demand in task.demands)
    rivals = {rival.name: rival for rival in decision.rivals}
    return {
        "model": model,
        "mix": mix,
        "devices": dict(decision.planned.plan.totals.devices),
        "goodput_hz": rate_hz * decision.chosen.goodput.multiple,
        "half_width_hz": rate_hz * decision.chosen.goodput.half_width,
        "over": {name: _ratio(decision, rivals.get(name)) for name in RIVALS},
        "executors": {
            "+".join(name.partition("/")[2] for name in executor.components): len(executor.instances)
            for executor in decision.planned.plan.executors
        },
        "cpu_s": time.process_time() - started_s,
    }


def _ratio(decision: Decision, rival: Rival | None) -> float | None:
    """Goodput of the plan over the rival's; None where these devices do not hold it, or it serves none."""
    if rival is None or not rival.goodput.multiple:
        return None
    return decision.chosen.goodput.multiple / rival.goodput.multiple


def table(rows: list[Row], devices: int) -> Table:
    """The rows for people."""
    title = f"goodput of the plan on {devices} devices, and times that of others on as many"
    found = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("model", "mix", "requests/s", *(f"x {name}" for name in RIVALS), "executors", "CPU s"):
        found.add_column(heading, overflow="fold")
    for row in rows:
        executors = ", ".join(f"{count} {name}" for name, count in row["executors"].items())
        ratios = ("does not fit" if ratio is None else f"{ratio:.2f}" for ratio in row["over"].values())
        rate = f"{row['goodput_hz']:.3g} ± {row['half_width_hz']:.2g}"
        found.add_row(row["model"], row["mix"], rate, *ratios, executors, f"{row['cpu_s']:.1f}")
    return found


if __name__ == "__main__":
    main()
