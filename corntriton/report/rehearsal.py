"""Rehearsals for people, as tables, and for machines, as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from corntriton.planner.goodput import verdicts
from corntriton.planner.plan import Plan
from corntriton.rehearsal.rehearse import Play, Rehearsed, mean, slowdowns

PLANNED = "this plan"


def throughput_ratio(one: Rehearsed, other: Rehearsed) -> float | None:
    """Measured goodput over the other's; None where the other serves nothing in time."""
    mine, its = mean(one.measured), mean(other.measured)
    return mine / its if its > 0 else None


def p99_ratio(one: Rehearsed, other: Rehearsed) -> float | None:
    """The other's p99 over this one's, both of time over target, at the rate at which all were seen."""
    if one.common is None or other.common is None:
        return None
    mine, its = (_p99_slowdown(each.plan, each.common) for each in (one, other) if each.common)
    return its / mine if mine > 0 else None


def _p99_slowdown(plan: Plan, play: Play) -> float:
    found = slowdowns(plan, play.measured.simulation)
    return float(np.percentile(found, 99)) if len(found) else math.nan


def to_json(found: Sequence[Rehearsed], missing: Sequence[str]) -> dict[str, Any]:
    """What the tables show, in seconds of the plan unless a name says `real`."""
    first = found[0]
    return {
        "plans": {one.name: _plan_json(one) for one in found},
        "does_not_fit": list(missing),
        "throughput_ratio": {one.name: throughput_ratio(first, one) for one in found[1:]},
        "p99_ratio": {one.name: p99_ratio(first, one) for one in found[1:]},
    }


def _plan_json(one: Rehearsed) -> dict[str, Any]:
    return {
        "devices": dict(one.plan.totals.devices),
        "slower": one.slower,
        "requests": one.requests,
        "goodput": {"predicted": one.predicted, "measured": one.measured, "error": one.error},
        "machine": {
            "delay_real_s": one.delay_real_s,
            "delay_of_target": one.delay,
            "cpu": one.cpu,
            "is_bottleneck": one.machine_is_bottleneck,
        },
        "plays": [_play_json(one.plan, play) for play in one.plays],
        "common": _play_json(one.plan, one.common) if one.common else None,
    }


def _play_json(plan: Plan, play: Play) -> dict[str, Any]:
    seen = play.measured
    measured = {each.name: each for each in seen.verdict.types}
    types = {}
    for demand in plan.demands:
        predicted = play.predicted.outcomes[demand.name].completion_s
        if demand.name in measured and len(predicted):
            types[demand.name] = {
                "offered_hz": measured[demand.name].offered_hz,
                "goodput_hz": asdict(measured[demand.name].goodput_hz),
                "predicted_s": {f"p{q}": float(np.percentile(predicted, q)) for q in (50, 95, 99)},
                "measured_s": {f"p{q}": asdict(v) for q, v in measured[demand.name].completion_s.items()},
                "parts": asdict(seen.parts[demand.name]),
            }
    return {
        "multiple": play.multiple,
        "strain": {"predicted": play.predicted_strain, "measured": play.strain},
        "request_types": types,
        "executors": {name: asdict(use) for name, use in seen.uses.items()},
        "predicted_busy": dict(play.predicted.busy),
        "machine": asdict(seen.machine),
    }


def show(found: Sequence[Rehearsed], missing: Sequence[str], console: Console) -> None:
    """Prints goodputs, each request type, each executor, and how far this machine can be believed."""
    console.print(_goodputs(found))
    for name in missing:
        console.print(f"{name} does not fit on these devices", soft_wrap=True)
    for one in found:
        if one.common is not None:
            console.print(_types(one, one.common))
            console.print(_executors(one, one.common))
    for one in found:
        console.print(_machine(one), soft_wrap=True)
        if one.machine_is_bottleneck:
            advice = f"{one.name}: this machine, not the plan, was the bottleneck; rehearse with --slower "
            console.print(f"{advice}{2 * one.slower:.2g}", style="bold yellow", soft_wrap=True)
    console.print(
        "stand-ins sleep for the profiled times: this proves queueing, routing, batching and overhead, "
        "not the times of devices",
        soft_wrap=True,
    )


def _goodputs(found: Sequence[Rehearsed]) -> Table:
    table = Table(title="goodput, in times the workload", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("deployment", "predicted", "measured", "error", "x goodput", "x p99"):
        table.add_column(heading, justify="left" if heading == "deployment" else "right")
    for one in found:
        ratios = [throughput_ratio(found[0], one), p99_ratio(found[0], one)] if one is not found[0] else []
        table.add_row(
            one.name,
            f"{mean(one.predicted):.2f}",
            f"{mean(one.measured):.2f}" if one.measured else "-",
            f"{one.error:+.1%}" if one.error is not None else "-",
            *(f"{ratio:.2f}" if ratio is not None else "-" for ratio in ratios),
        )
    return table


def _types(one: Rehearsed, play: Play) -> Table:
    title = f"{one.name} at {play.multiple:.2f}x the workload, predicted / measured"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("request type", overflow="fold", min_width=12)
    for heading in ("goodput/s", "of", "p50", "p99", "95 % of p99", "targets"):
        table.add_column(heading, justify="right")
    judged = verdicts(one.plan, play.measured.simulation)
    predicted = verdicts(one.plan, play.predicted)
    for each in play.measured.verdict.types:
        times_s = play.predicted.outcomes[each.name].completion_s
        kept = min((v.kept for v in predicted.get(each.name, ())), default=1.0)
        p50, p99 = (
            f"{time_text(float(np.percentile(times_s, q)))} / {time_text(each.completion_s[q].value)}"
            for q in (50, 99)
        )
        marks = "".join("✓" if verdict.met else "✗" for verdict in judged.get(each.name, ()))
        interval = f"{time_text(each.completion_s[99].low)} - {time_text(each.completion_s[99].high)}"
        rates = f"{kept * each.offered_hz:.3g} / {each.goodput_hz.value:.3g}"
        table.add_row(each.name, rates, f"{each.offered_hz:.3g}", p50, p99, interval, marks)
    return table


def _executors(one: Rehearsed, play: Play) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("executor", overflow="fold")
    for heading in ("instances", "busy", "least - most", "in a batch", "waiting inside"):
        table.add_column(heading, justify="right")
    for executor in one.plan.executors:
        use = play.measured.uses[executor.name]
        spread = f"{min(use.instances):.0%} - {max(use.instances):.0%}" if use.instances else "-"
        cells = (f"{use.busy:.0%}", spread, f"{use.batch:.1f}", f"{use.waiting:.2f}")
        table.add_row(executor.name, str(len(executor.instances)), *cells)
    return table


def _machine(one: Rehearsed) -> str:
    step = f"{one.delay_real_s * 1e3:.1f} ms for each step of a request"
    return (
        f"{one.name}: time x{one.slower:g}; this machine took {step} (taken off; {one.delay:.1%} of the "
        f"tightest target) and at most {one.cpu:.0%} of its CPUs"
    )


def time_text(seconds: float) -> str:
    """Three digits."""
    return "-" if math.isnan(seconds) else f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
