"""The tables of bench_omni.py: contestants' results in, what a terminal shows out."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from bench.omni_load import Result
from bench.omni_models import Contestant
from bench.omni_seen import added
from rich.table import Table

# By contestant, a result for each round.
Results = Mapping[str, Sequence[Result]]


def trial_table(results: Mapping[str, Result]) -> Table:
    """The monoliths, before the rounds."""
    table = Table("monolith", title="which monolith serves most", title_justify="left")
    _add_numbers(table, "per s", "its CPUs", "others' CPUs")
    for name, result in results.items():
        seen = result.seen
        table.add_row(name, f"{result.rate_hz:.2f}", f"{seen.server_share:.0%}", f"{seen.others_share:.0%}")
    return table


def contestants_table(
    contestants: Mapping[str, Contestant], served: Results, timed: Results, rate_hz: float
) -> Table:
    """What each served, and how long answers took: medians of all rounds."""
    table = Table("", "what it is", title=f"times at {rate_hz:.2f} per s", title_justify="left")
    _add_numbers(table, "per s", "mean s", "p50 s", "p99 s", "its CPUs", "others' CPUs")
    for name, contestant in contestants.items():
        table.add_row(
            *(name, contestant.says),
            f"[bold]{median(served[name], lambda result: result.rate_hz):.2f}[/]",
            f"{median(timed[name], lambda result: result.mean_s):.2f}",
            f"{median(timed[name], lambda result: result.time_s(50)):.2f}",
            f"[bold]{median(timed[name], lambda result: result.time_s(99)):.2f}[/]",
            f"{median(served[name], lambda result: result.seen.server_share):.0%}",
            f"{median(served[name], lambda result: result.seen.others_share):.0%}",
        )
    return table


def ratios_table(ratios: Mapping[str, Sequence[float]]) -> Table:
    """Each ratio's median and range."""
    table = Table("ratio", title="ratios, the median of all rounds", title_justify="left")
    _add_numbers(table, "median", "range")
    for name, rounds in ratios.items():
        table.add_row(
            name, f"[bold]{statistics.median(rounds):.2f}[/]", f"{min(rounds):.2f}-{max(rounds):.2f}"
        )
    return table


def work_table(served: Results) -> Table:
    """Where requests waited and were computed while all clients asked, by Triton's counters."""
    table = Table("", "Triton model", title="work of all windows with clients", title_justify="left")
    _add_numbers(table, "requests", "a batch", "queue s each", "compute s each")
    for name, results in served.items():
        for model, work in sorted(added([result.seen.models for result in results]).items()):
            table.add_row(
                *(name, model, f"{work.requests:.0f}", f"{work.batch:.2f}"),
                *(f"{work.queue_s / work.requests:.2f}", f"{work.compute_s / work.requests:.2f}"),
            )
        table.add_section()
    return table


def median(results: Sequence[Result], figure: Callable[[Result], float]) -> float:
    """Of all rounds."""
    return statistics.median(figure(result) for result in results)


def _add_numbers(table: Table, *headings: str) -> None:
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
