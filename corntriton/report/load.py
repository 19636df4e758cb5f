"""A verdict on a load for people, as a table, and for machines, as plain data."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from corntriton.load.arrivals import Arrival
from corntriton.load.bench import Bench
from corntriton.load.verdict import PERCENTILES, Estimate, Kept, TypeVerdict


class Bar(Progress):
    """A progress bar over the time for which requests are sent."""

    def __init__(self, console: Console, duration_s: float, silent: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        super().__init__(*columns, console=console, transient=True, disable=silent)
        self._bar = self.add_task("connecting", total=duration_s)

    def sent(self, arrival: Arrival) -> None:
        """A request has been sent."""
        said = f"{arrival.at_s:.0f} s: {arrival.request_type}"
        self.update(self._bar, completed=arrival.at_s, description=said)


def to_json(found: Bench) -> dict[str, Any]:
    """What the table shows, in seconds, requests per second and shares; null where nothing was measured."""
    verdict = found.verdict
    return {
        "request_types": {each.name: _type_json(each) for each in verdict.types},
        "rate_hz": found.rate_hz,
        "warm_up_s": found.warm_up_s,
        "measured_s": verdict.measured_s,
        "offered_hz": verdict.offered_hz,
        "sent_hz": verdict.sent_hz,
        "answered_hz": verdict.answered_hz,
        "generator": {
            "late_s": dict(zip(("p50", "p99", "max"), verdict.late_s, strict=True)),
            "cpu_share": verdict.cpu_share,
            "is_bottleneck": verdict.generator_is_bottleneck,
        },
        "made_up": list(found.made_up),
        "streamed": list(found.streamed),
    }


def show(found: Bench, console: Console) -> None:
    """Prints the table and what has to be known to believe it."""
    verdict = found.verdict
    title = f"{found.rate_hz:g} requests/s, {verdict.measured_s:g} s measured after {found.warm_up_s:g} s"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("request type", overflow="fold", min_width=8)
    for heading in ("sent\nfailed", "goodput/s\nof", "p50", "p95", "p99", "first\np50, p99"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("targets")
    for each in verdict.types:
        table.add_row(*_row(each))
    console.print(table)
    for each in verdict.types:
        for error, count in each.errors.items():
            console.print(f"{each.name}: {count} failed: {error}", style="red", soft_wrap=True, markup=False)
    console.print("intervals: 95 % confidence, by a block bootstrap over the measured time", soft_wrap=True)
    console.print(
        f"offered {verdict.offered_hz:.3g}/s, sent {verdict.sent_hz:.3g}/s, "
        f"answered {verdict.answered_hz:.3g}/s; "
        f"the generator was late by {_s(verdict.late_s[0])} (p50), {_s(verdict.late_s[1])} (p99), "
        f"and took {verdict.cpu_share:.0%} of a CPU",
        soft_wrap=True,
    )
    if verdict.generator_is_bottleneck:
        console.print(
            "the load generator itself was a bottleneck: latencies hold its own lateness; "
            "lower --rate, or run it on another machine",
            style="bold yellow",
            soft_wrap=True,
        )
    if found.made_up:
        console.print(f"made-up requests, for want of examples: {', '.join(found.made_up)}", soft_wrap=True)


def _row(each: TypeVerdict) -> list[str]:
    goodput = each.goodput_hz
    failed = sum(each.errors.values())
    return [
        each.name,
        f"{each.requests}\n{failed}" if failed else str(each.requests),
        f"{goodput.value:.3g}\n{goodput.low:.3g} - {goodput.high:.3g}\n{each.offered_hz:.3g}",
        *(_with_interval(each.completion_s[p]) for p in PERCENTILES),
        "-" if each.first_s is None else f"{_s(each.first_s[50].value)}\n{_s(each.first_s[99].value)}",
        "\n".join(_kept(kept) for kept in each.kept) or "none",
    ]


def _kept(kept: Kept) -> str:
    target = kept.target
    of = {"completion": "", "first_chunk": "first ", "per_token": "per token "}[target.of]
    mark = "[green]✓[/]" if kept.met else "[red]✗[/]"
    took = f"{of}p{target.percentile:g} {_s(kept.value_s)} of {_s(target.seconds)}"
    return f"{mark} {took}: {kept.share.value:.1%} in time"


def _with_interval(estimate: Estimate) -> str:
    return f"{_s(estimate.value)}\n{_s(estimate.low)} -\n{_s(estimate.high)}"


def _s(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


def _type_json(each: TypeVerdict) -> dict[str, Any]:
    return {
        "requests": each.requests,
        "offered_hz": each.offered_hz,
        "goodput_hz": _plain(each.goodput_hz),
        "completion_s": {f"p{p}": _plain(value) for p, value in each.completion_s.items()},
        "first_chunk_s": each.first_s and {f"p{p}": _plain(value) for p, value in each.first_s.items()},
        "errors": dict(each.errors),
        "targets": [
            {
                **kept.target.model_dump(),
                "met": kept.met,
                "kept": _plain(kept.share),
                "value_s": _number(kept.value_s),
            }
            for kept in each.kept
        ],
    }


def _plain(estimate: Estimate) -> dict[str, float | None]:
    return {name: _number(value) for name, value in asdict(estimate).items()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
