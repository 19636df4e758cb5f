"""Prints what plans of examples/published serve beside others: `tools/published_table.py [--json FILE]`.

By simulation, on as many devices and with the same requests: the plan that serves most; the monolith whose
components work all at once, and the one that works on one batch at a time (tools/one_batch.py); and full
disaggregation. Throughput is the ratio of goodputs; p99 that of the 99th percentiles of time over target, at
nine tenths of the least goodput, a rate that all keep. Then why: what the monolith would serve with four
times the memory, what it would serve were each sort of answer alone on its devices, and how many requests
are at a component at once.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from corntriton.planner.contest import APART, FRESH, FRESH_SEEDS, LONG, MONOLITH  # noqa: E402
from corntriton.planner.decide import decide  # noqa: E402
from corntriton.planner.demand import Demand  # noqa: E402
from corntriton.planner.goodput import WARM_UP, flow_bound, goodput, rough_goodput, run_length  # noqa: E402
from corntriton.planner.plan import Plan  # noqa: E402
from corntriton.planner.planning import Options  # noqa: E402
from corntriton.planner.simulate import Simulation, simulate  # noqa: E402
from corntriton.planner.task import Task, read_task  # noqa: E402
from corntriton.rehearsal.rehearse import COMMON, slowdowns  # noqa: E402
from corntriton.rehearsal.rivals import rivals_of  # noqa: E402
from corntriton.report.rehearsal import PLANNED  # noqa: E402
from corntriton.spec.cluster import Cluster  # noqa: E402
from tools.bench_planner import PAPER, at_rate  # noqa: E402
from tools.one_batch import OneBatch, best_one_batch  # noqa: E402

PUBLISHED = ROOT / "examples" / "published"
# Scenarios with their mix; the mix without a name is the scenario's only one.
SCENARIOS = (
    ("text_to_image", ""), ("speech_to_answer", ""), ("video_qa", ""),
    ("omni", "third"), ("omni", "two_thirds"),
)  # fmt: skip
ONE_BATCH = "monolith, one batch at a time"
PLENTY = 4  # times the memory: for what the lack of it costs
# Throughput and tail latency over a single service, reported by arXiv 2512.14098 of its own system, on GPUs.
REPORTED = {"text_to_image": (3.81, 5.79), "speech_to_answer": (3.07, 4.2), "video_qa": (2.83, 3.9)}

Row = dict[str, Any]


@dataclass(frozen=True)
class Fare:
    """How a deployment fares: goodput as a multiple of the workload, mean of seeds; and what it is."""

    multiple: float
    what: Plan | OneBatch

    def slowdown_p99(self, multiple: float) -> float:
        """The 99th percentile of time over target."""
        plan = self.what.monolith if isinstance(self.what, OneBatch) else self.what
        seen = _seen(self.what, FRESH, run_length(plan, multiple, LONG), multiple)
        return float(np.percentile(slowdowns(plan, seen), 99))


def published_task(scenario: str, mix: str, devices: int, memory_gib: float | None = None) -> Task:
    """A scenario on eight or sixteen A100; sixteen get twice the rate."""
    folder = PUBLISHED / scenario
    workload = folder / (f"workload-{mix}.yaml" if mix else "workload.yaml")
    task = read_task(
        [folder], str(workload), str(PAPER / f"cluster-{devices}.yaml"), str(folder / "profiles.json")
    )
    if memory_gib is not None:
        task = replace(task, cluster=with_memory(task.cluster, memory_gib))
    return at_rate(task, devices / 8)


def with_memory(cluster: Cluster, memory_gib: float) -> Cluster:
    """The cluster with so much memory on each device; times are the same."""
    devices = {n: d.model_copy(update={"memory_gib": memory_gib}) for n, d in cluster.devices.items()}
    return cluster.model_copy(update={"devices": devices})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="text_to_image, … ; default: all")
    parser.add_argument("--devices", type=int, choices=(8, 16), default=8)
    parser.add_argument("--memory", type=float, default=80, metavar="GIB", help="of a device; default: 80")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows")
    arguments = parser.parse_args()
    rows = []
    for scenario, mix in SCENARIOS:
        if not arguments.scenarios or scenario in arguments.scenarios:
            print(f"planning {scenario} {mix}", file=sys.stderr)
            rows.append(measured(scenario, mix, arguments.devices, arguments.memory))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
    console.print(ratios_table(rows, f"{arguments.devices} devices of {arguments.memory:g} GiB"))
    console.print(causes_table(rows))
    for line in (*summary(rows), f"reported, on GPUs: {reported()}"):
        console.print(line, soft_wrap=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"results": rows}, indent=1) + "\n", encoding="utf-8")


def measured(scenario: str, mix: str, devices: int, memory_gib: float) -> Row:
    """All figures of one scenario."""
    task = published_task(scenario, mix, devices, memory_gib)
    plan = decide(task, Options("served")).planned.plan
    fares = dict(_fares({PLANNED: plan, **rivals_of(plan)}))
    rate_hz = sum(demand.rate_hz for demand in task.demands)
    common = COMMON * min(fare.multiple for fare in fares.values())
    p99 = {name: fare.slowdown_p99(common) for name, fare in fares.items()}
    mine, monolith = fares[PLANNED], fares[MONOLITH]
    plans = {name: fare.what for name, fare in fares.items() if isinstance(fare.what, Plan)}
    return {
        "scenario": f"{scenario} {mix}".strip(),
        "goodput_hz": {name: fare.multiple * rate_hz for name, fare in fares.items()},
        "throughput_ratio": {name: mine.multiple / fare.multiple for name, fare in fares.items()},
        "p99_ratio": {name: p99[name] / p99[PLANNED] for name in fares},
        "deployment": {name: described(fare.what) for name, fare in fares.items()},
        "capacity_hz": {name: flow_bound(each) * rate_hz for name, each in plans.items()},
        "of_capacity": {name: fares[name].multiple / flow_bound(each) for name, each in plans.items()},
        "monolith_plentiful_memory": _plentiful(plan, memory_gib) / monolith.multiple,
        "monolith_types_apart": _types_apart(plan) / monolith.multiple,
        "inside": {name: inside(plans[name], common) for name in (PLANNED, MONOLITH)},
    }


def _plentiful(plan: Plan, memory_gib: float) -> float:
    """What the monolith would serve if memory limited no batch."""
    rival = rivals_of(replace(plan, cluster=with_memory(plan.cluster, PLENTY * memory_gib)))[MONOLITH]
    return _multiple(rival) if rival else 0.0


def _types_apart(plan: Plan) -> float:
    """What monoliths for one sort of answer each would serve, with the best division of the devices."""
    sorts: dict[tuple[str, ...], list[Demand]] = {}
    for demand in plan.demands:
        sorts.setdefault(demand.answers, []).append(demand)
    if len(sorts) != 2:
        return _multiple(_alone(plan, plan.demands, 0))
    one, other = sorts.values()
    count = sum(plan.totals.devices.values())
    found = 0.0
    low, high = 1, count - 1
    while low <= high:  # more devices for one sort are fewer for the other: the lesser of both has one peak
        here = (low + high) // 2
        its, others = _multiple(_alone(plan, one, here)), _multiple(_alone(plan, other, count - here))
        found = max(found, min(its, others))
        low, high = (here + 1, high) if its < others else (low, here - 1)
    return found


def _alone(plan: Plan, demands: Sequence[Demand], devices: int) -> Plan:
    """The monolith for these types on so many devices; 0 for all there are."""
    total = {name: devices or count for name, count in plan.totals.devices.items()}
    part = replace(plan, demands=tuple(demands), totals=replace(plan.totals, devices=total))
    rival = rivals_of(part)[MONOLITH]
    assert rival is not None  # it fits one device
    return rival


def inside(plan: Plan, multiple: float) -> dict[str, float]:
    """Requests at a component at once, waiting ones too: the mean, for each instance that holds it."""
    seen = simulate(
        plan, seed=FRESH, requests=run_length(plan, multiple, LONG), rate_multiple=multiple, spans=True
    )
    time_s: Counter[str] = Counter()
    for _, step, _, start_s, end_s in seen.spans:
        time_s[step.partition(".")[0]] += end_s - start_s
    instances: Counter[str] = Counter()
    for executor in plan.executors:
        for name in executor.components:
            instances[name.partition("/")[2]] += len(executor.instances)
    return {name: total / seen.duration_s / instances[name] for name, total in time_s.items()}


def described(what: Plan | OneBatch) -> str:
    """Executors with their batch limits."""
    if isinstance(what, OneBatch):
        return f"{what.limit} requests"
    parts = (
        f"{len(executor.instances)} x "
        + " + ".join(f"{m.component.partition('/')[2]} {m.max_batch}" for m in executor.members)
        for executor in what.executors
    )
    return "; ".join(parts)


def _plan_of(fare: Fare) -> Plan:
    assert isinstance(fare.what, Plan)
    return fare.what


def _fares(plans: Mapping[str, Plan | None]) -> Iterator[tuple[str, Fare]]:
    for name, plan in plans.items():
        if plan is None:
            continue
        fare = Fare(_multiple(plan), plan)
        yield name, fare
        if name == MONOLITH:
            requests = run_length(plan, fare.multiple, LONG)
            best = best_one_batch(plan, 0, requests // 2, fare.multiple)
            found = [best.goodput(FRESH + seed, requests, fare.multiple) for seed in range(FRESH_SEEDS)]
            yield ONE_BATCH, Fare(statistics.fmean(found), best)


def _multiple(plan: Plan) -> float:
    """Goodput by long simulations."""
    near = rough_goodput(plan, seed=0, requests=run_length(plan, 1.0, LONG)) or 1.0
    return goodput(
        plan, seed=FRESH, requests=run_length(plan, near, LONG), seeds=FRESH_SEEDS, near=near
    ).multiple


def _seen(what: Plan | OneBatch, seed: int, requests: int, multiple: float) -> Simulation:
    if isinstance(what, OneBatch):
        return what.simulate(seed, requests, multiple)
    return simulate(what, seed=seed, requests=requests, rate_multiple=multiple, warm_up=WARM_UP)


def _table(title: str, headings: Sequence[str]) -> Table:
    found = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("scenario", *headings):
        found.add_column(heading, overflow="fold")
    return found


def ratios_table(rows: Sequence[Row], title: str) -> Table:
    """What is compared."""
    headings = ("deployment", "requests/s", "x throughput", "x p99", "executors and batch limits")
    found = _table(f"planned beside others, on {title}", headings)
    for row in rows:
        for name, rate in row["goodput_hz"].items():
            first = row["scenario"] if name == PLANNED else ""
            ratios = (
                f"{row[key][name]:.2f}" if name != PLANNED else ""
                for key in ("throughput_ratio", "p99_ratio")
            )
            found.add_row(first, name, f"{rate:.3g}", *ratios, row["deployment"][name])
    return found


def causes_table(rows: Sequence[Row]) -> Table:
    """Why."""
    at_once = "requests at a component at once, per instance"
    found = _table("why", ("", "capacity/s", "of it in time", at_once))
    for row in rows:
        for name, hz in row["capacity_hz"].items():
            inside = row["inside"].get(name, {})
            said = ", ".join(f"{component} {count:.2g}" for component, count in inside.items())
            first = row["scenario"] if name == PLANNED else ""
            found.add_row(first, name, f"{hz:.3g}", f"{row['of_capacity'][name]:.0%}", said)
        more = f"{row['monolith_plentiful_memory']:.2f}x with {PLENTY} times the memory"
        apart = f"{row['monolith_types_apart']:.2f}x with each sort of answer on its own devices"
        found.add_row("", f"{MONOLITH} would serve", "", "", f"{more}; {apart}")
    return found


def summary(rows: Sequence[Row]) -> Iterator[str]:
    """Best, median and worst, over each baseline and over the best monolith of each scenario."""
    for key, what in (("throughput_ratio", "throughput"), ("p99_ratio", "p99")):
        for name in (MONOLITH, ONE_BATCH, APART):
            yield _spread(f"{what} over {name}", [row[key][name] for row in rows if name in row[key]])
        # Of the two monoliths whoever builds one by hand takes the better: the one that serves more.
        better = [min((MONOLITH, ONE_BATCH), key=row["throughput_ratio"].__getitem__) for row in rows]
        yield _spread(
            f"{what} over the better monolith", [row[key][n] for row, n in zip(rows, better, strict=True)]
        )


def reported() -> str:
    """What others say of their own system."""
    return ", ".join(f"{name} {rate:g}x (tail {tail:g}x)" for name, (rate, tail) in REPORTED.items())


def _spread(what: str, ratios: Sequence[float]) -> str:
    if not ratios:
        return f"{what}: fits nowhere"
    return (
        f"{what}: best {max(ratios):.2f}x, median {statistics.median(ratios):.2f}x, worst {min(ratios):.2f}x"
    )


if __name__ == "__main__":
    main()
