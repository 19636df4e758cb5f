"""Rehearses the paper's scenarios: `python tools/bench_rehearsal.py [--quick] [--compare] [--json FILE]`.

Each model of examples/paper at two mixes on eight devices, or with --published the scenarios of
examples/published: the plan that serves most, its goodput by simulation and on the real tritonserver with
stand-ins, found with the same requests. Stand-ins sleep for the profiled times, so this validates queueing,
routing, batching and overhead, never the times of GPUs.

With --compare, monolith and full disaggregation on as many devices are rehearsed beside each plan: throughput
is the ratio of goodputs, p99 the ratio of the 99th percentiles of time over target, at a rate that all keep.
The figures of the same paper for its own system are printed beside them; they are of real GPUs. What the
plans of examples/published serve beside others by simulation alone, and why, tools/published_table.py says.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from corntriton.planner.contest import APART, MONOLITH  # noqa: E402
from corntriton.planner.decide import decide  # noqa: E402
from corntriton.planner.plan import Plan  # noqa: E402
from corntriton.planner.planning import Options as PlanOptions  # noqa: E402
from corntriton.planner.task import Task  # noqa: E402
from corntriton.rehearsal.rehearse import Options, Rehearsed, rehearse  # noqa: E402
from corntriton.rehearsal.rivals import rivals_of  # noqa: E402
from corntriton.report.rehearsal import PLANNED, p99_ratio, throughput_ratio  # noqa: E402
from corntriton.serving.launch import find_launcher  # noqa: E402
from tools import published_table  # noqa: E402
from tools.bench_planner import MIXES, MODELS, paper_task  # noqa: E402

QUICK = (("qwen3_omni", "third"), ("qwen2_5_vl", "third"), ("internvl3", "third"))
# The prediction has to be this close to the measurement, as a share: in the median, and at worst.
MEDIAN_BAR, WORST_BAR = 0.04, 0.10
DEVICES = 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help="only scenarios whose name starts so")
    parser.add_argument("--quick", action="store_true", help="three scenarios")
    parser.add_argument("--published", action="store_true", help="the scenarios of examples/published")
    parser.add_argument("--compare", action="store_true", help="rehearse monolith and disaggregation, too")
    parser.add_argument("--requests", type=int, help="in each play; default: four times the longest target")
    parser.add_argument("--slower", type=float, help="real seconds for each second of a plan")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    arguments = parser.parse_args()
    options = Options(slower=arguments.slower, requests=arguments.requests)
    every = scenarios(arguments.quick, arguments.published)
    chosen = {name: task for name, task in every.items() if name.startswith(tuple(arguments.models or [""]))}
    if not chosen:
        parser.error(f"there are only {', '.join(every)}")
    results: dict[str, Any] = {}
    for name, task in chosen.items():
        figures = rehearsed(task(), options, arguments.compare)
        results[name] = figures
        print(f"{name}: {words(figures)}", flush=True)
        summary = {**summarised(results), **results}
        if arguments.json:
            arguments.json.write_text(json.dumps({"results": summary}, indent=1) + "\n", encoding="utf-8")
    print_summary(summarised(results))


def scenarios(quick: bool, published: bool) -> dict[str, Callable[[], Task]]:
    """By name; each is read when it is its turn."""
    read = published_table.published_task if published else paper_task
    every = published_table.SCENARIOS if published else [(model, mix) for model in MODELS for mix in MIXES]
    chosen = QUICK if quick and not published else every
    return {f"{model}_{mix}".rstrip("_"): partial(read, model, mix, DEVICES) for model, mix in chosen}


def rehearsed(task: Task, options: Options, compare: bool) -> dict[str, Any]:
    """The figures of one scenario."""
    decision = decide(task, PlanOptions("served"))
    plan = decision.planned.plan
    plans: dict[str, Plan] = {PLANNED: plan}
    if compare:
        plans |= {name: rival for name, rival in rivals_of(plan).items() if rival is not None}
    found = rehearse(plans, find_launcher(), options, lambda text: print(f"  {text}", file=sys.stderr))
    return {
        **_prediction(found[0]),
        "errors": {one.name: one.error for one in found},
        "throughput_ratio": {one.name: throughput_ratio(found[0], one) for one in found[1:]},
        "p99_ratio": {one.name: p99_ratio(found[0], one) for one in found[1:]},
    }


def _prediction(one: Rehearsed) -> dict[str, Any]:
    return {
        "predicted": one.predicted,
        "measured": one.measured,
        "requests": one.requests,
        "slower": one.slower,
        "delay_real_s": one.delay_real_s,
        "cpu": one.cpu,
        "machine_is_bottleneck": one.machine_is_bottleneck,
        "strains": [(play.multiple, play.predicted_strain, play.strain) for play in one.plays],
    }


def words(figures: dict[str, Any]) -> str:
    """One scenario in a line."""
    errors = ", ".join(
        f"{name} {error:+.1%}" for name, error in figures["errors"].items() if error is not None
    )
    said = (
        f"predicted {figures['predicted'][0]:.2f}x, measured {figures['measured'][0]:.2f}x; error: {errors}"
    )
    said += f"; time x{figures['slower']:g}, CPU {figures['cpu']:.0%}"
    for name, ratio in figures["throughput_ratio"].items():
        p99 = figures["p99_ratio"][name]
        said += f"; {name}: throughput {ratio:.2f}x, p99 {p99:.2f}x" if ratio and p99 else ""
    return said + ("; THE MACHINE WAS THE BOTTLENECK" if figures["machine_is_bottleneck"] else "")


def summarised(results: dict[str, Any]) -> dict[str, float]:
    """The figures that are judged: errors over all plans, ratios over all baselines."""
    errors = [abs(e) for one in results.values() for e in one["errors"].values() if e is not None]
    found = {"goodput_error_median": statistics.median(errors), "goodput_error_worst": max(errors)}
    for name in ("throughput_ratio", "p99_ratio"):
        ratios = [ratio for one in results.values() for ratio in one[name].values() if ratio]
        if ratios:
            found |= {f"best_{name}": max(ratios), f"worst_{name}": min(ratios)}
            found[f"median_{name}"] = statistics.median(ratios)
    return found


def print_summary(found: dict[str, float]) -> None:
    bars = {"goodput_error_median": MEDIAN_BAR, "goodput_error_worst": WORST_BAR}
    for name, value in found.items():
        bar = bars.get(name)
        judged = "" if bar is None else f", promised at most {bar:.0%}: {'met' if value <= bar else 'MISSED'}"
        print(f"{name}: {value:.3g}{judged}")
    print(f"reported, on GPUs: {published_table.reported()}; {MONOLITH} and {APART} here are our own plans")


if __name__ == "__main__":
    main()
