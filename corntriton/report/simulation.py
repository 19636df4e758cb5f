"""A simulation for people, as tables, and for machines, as plain data."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from corntriton.planner.goodput import Goodput, Verdict, verdicts
from corntriton.planner.plan import Plan
from corntriton.planner.simulate import Simulation


def to_json(plan: Plan, simulation: Simulation, found: Goodput) -> dict[str, Any]:
    """What the tables show, in seconds, requests per second, and shares."""
    judged = verdicts(plan, simulation)
    types = {}
    for name, outcome in simulation.outcomes.items():
        types[name] = {
            "requests": len(outcome.arrived_s),
            "completion_s": _percentiles(outcome.completion_s),
            "first_chunk_s": _percentiles(outcome.first_chunk_s),
            "targets": [_verdict_json(verdict) for verdict in judged.get(name, ())],
        }
    return {
        "goodput": {
            "multiple": found.multiple,
            "half_width": found.half_width,
            "least": found.least,
            "bound": found.bound,
            "rates_hz": dict(found.rates_hz),
            "limited_by": found.limited_by,
        },
        "request_types": types,
        "busy": dict(simulation.busy),
        "links": dict(simulation.links),
        "duration_s": simulation.duration_s,
        "stages": simulation.stages,
    }


def show(plan: Plan, simulation: Simulation, found: Goodput, rate_multiple: float, console: Console) -> None:
    """Prints latencies and verdicts by request type, how busy executors and links are, and the goodput."""
    console.print(_types_table(plan, simulation, rate_multiple))
    console.print(_busy_table(simulation))
    limit = f"beyond it {found.limited_by} fails first" if found.limited_by else "capacity is the limit"
    console.print(
        f"goodput: [bold]{found.multiple:.2f}x[/] the workload (± {found.half_width:.2f}, 95 %), "
        f"of at most {found.bound:.2f}x; {limit}",
        soft_wrap=True,
    )


def _types_table(plan: Plan, simulation: Simulation, rate_multiple: float) -> Table:
    judged = verdicts(plan, simulation)
    title = f"simulated at {rate_multiple:g}x the workload"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("request type", overflow="fold")
    for heading in ("requests", "per s", "p50", "p99", "first chunk p50"):
        table.add_column(heading, justify="right")
    table.add_column("targets", no_wrap=True)
    one_model = len({demand.model for demand in plan.demands}) == 1
    for demand in plan.demands:
        outcome = simulation.outcomes[demand.name]
        if not len(outcome.arrived_s):
            continue
        completion, first = _percentiles(outcome.completion_s), _percentiles(outcome.first_chunk_s)
        table.add_row(
            demand.name.removeprefix(f"{demand.model}/") if one_model else demand.name,
            str(len(outcome.arrived_s)),
            f"{demand.rate_hz * rate_multiple:.3g}",
            _seconds(completion["p50"]),
            _seconds(completion["p99"]),
            "same" if first == completion else _seconds(first["p50"]),
            "\n".join(_verdict_text(verdict) for verdict in judged[demand.name]) or "none",
        )
    return table


def _busy_table(simulation: Simulation) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("executor or link", overflow="fold")
    table.add_column("busy", justify="right")
    table.add_column("")
    for name, share in [*simulation.busy.items(), *simulation.links.items()]:
        table.add_row(name, f"{share:.0%}", "█" * round(20 * share))
    return table


def _verdict_text(verdict: Verdict) -> str:
    target = verdict.target
    mark = "[green]✓[/]" if verdict.met else "[red]✗[/]"
    of = "" if target.of == "completion" else f"{target.of} "
    took, limit = _seconds(verdict.value_s), _seconds(target.seconds)
    return f"{mark} {of}p{target.percentile:g} {took} of {limit}"


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        **verdict.target.model_dump(),
        "met": verdict.met,
        "kept": verdict.kept,
        "half_width": verdict.half_width,
        "value_s": verdict.value_s,
    }


def _percentiles(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float | None]:
    if not len(values):
        return {"p50": None, "p99": None}
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": float(p50), "p99": float(p99)}


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"
