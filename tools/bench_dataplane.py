"""Compares how tensors pass between components: ours, one monolith, a native ensemble, hand-written BLS.

A chain: the first stage makes a tensor from a small request, the second rewrites every byte of it, the third
gives a checksum, which the client checks. A diamond: two stages rewrite the first one's tensor side by side,
a fourth joins both. Every contestant gets a short window of load in every round, in changing order, so that
whatever else the machine does falls on all of them. A ratio is that of two windows of one round; printed are
its median over the rounds, and its range. MB are 2**20 bytes.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import load
from bench.dataplane_models import MODELS, SHAPES, asks, serving
from bench.load import Measure, Result, Window
from bench.memory import MemoryWatch
from rich.console import Console
from rich.progress import track
from rich.table import Table

SIZES = {"64B": 64, "64kB": 64 * 2**10, "1MB": 2**20, "16MB": 16 * 2**20, "64MB": 64 * 2**20}
MANY_CLIENTS = 8
_MB = 2**20

# What ratios have to reach, at least or at most.
AT_LEAST = {
    "speed_vs_ensemble_16MB": 1.9,
    "speed_vs_bls_16MB": 3.5,
    "speed_vs_ensemble_64MB": 4.0,
    "speed_vs_bls_64MB": 5.0,
    "throughput_vs_bls_64B_8clients": 1.5,
    "public_throughput_vs_ensemble_64B_8clients": 0.95,
}
AT_MOST = {
    "time_vs_monolith_16MB": 1.3,
    "time_vs_monolith_64MB": 1.7,
    "public_time_vs_ensemble_64B": 1.05,
}


@dataclass(frozen=True)
class Case:
    """What contestants are compared at.

    Attributes:
        shape: `chain` or `diamond`.
        size: A name of SIZES.
        clients: That ask at once.
    """

    shape: str
    size: str
    clients: int

    @property
    def label(self) -> str:
        """The end of the names of its ratios."""
        shape = "" if self.shape == "chain" else f"_{self.shape}"
        return self.size + (f"_{self.clients}clients" if self.clients > 1 else "") + shape

    @property
    def contestants(self) -> list[str]:
        """By the keys of MODELS.

        One client keeps one instance busy. What worker processes and the orchestrator cost is the same at
        every size.
        """
        left_out = set() if self.clients > 1 else {"bls_8_instances"}
        if self.size != "64B":
            left_out |= {"ours_in_stub", "public_in_stub", "bare"}
        return [name for name in MODELS if name not in left_out]


@dataclass(frozen=True)
class Ratio:
    """One figure to compare.

    Attributes:
        name: Its key in the JSON file.
        rounds: Its value in each round.
    """

    name: str
    rounds: tuple[float, ...]

    @property
    def value(self) -> float:
        """The median."""
        return statistics.median(self.rounds)

    @property
    def bar(self) -> str:
        """What it has to reach, if anything."""
        if self.name in AT_LEAST:
            return f">= {AT_LEAST[self.name]}"
        return f"<= {AT_MOST[self.name]}" if self.name in AT_MOST else ""

    @property
    def missed(self) -> bool:
        """It has a bar and does not reach it."""
        return not AT_LEAST.get(self.name, 0.0) <= self.value <= AT_MOST.get(self.name, float("inf"))


# The results of all rounds, by case and contestant.
Results = Mapping[Case, Mapping[str, Sequence[Result]]]


def main() -> int:
    """Measures and prints; 1 where a bar is missed, an answer is wrong, or shared memory is left behind."""
    options = _options()
    console = Console()
    cases = [case for case in _cases(options.quick) if re.search(options.only, case.label)]
    console.print("starting a tritonserver with all contestants")
    with serving() as server, MemoryWatch(server.id) as memory, load.generator() as measure:
        results: dict[Case, dict[str, list[Result]]] = {case: defaultdict(list) for case in cases}
        turns = [(number, case) for number in range(options.rounds) for case in cases]
        for number, case in track(turns, "rounds", console=console):
            names = [name for name in case.contestants if name not in options.without]
            found = _run_round(server.grpc_url, measure, case, names, options.seconds, number)
            for name, result in found.items():
                results[case][name].append(result)
    ratios = [*_ratios(results)]
    for clients in (1, MANY_CLIENTS):
        console.print(_times(results, clients))
    console.print(_comparison(ratios))
    every = [result for of_case in results.values() for some in of_case.values() for result in some]
    wrong, share = sum(result.wrong for result in every), max(result.generator_share for result in every)
    console.print(f"The load generator took at most {share:.0%} of one CPU; {wrong} answers were wrong.")
    console.print(
        f"/dev/shm held at most {memory.peak_arena_bytes / _MB:.0f} MB of arenas, "
        f"and {memory.peak_region_bytes / _MB:.0f} MB of Triton's own regions (all contestants); "
        f"{len(memory.left)} files were left after the end."
    )
    if options.json:
        _write_json(options.json, ratios, results, memory, wrong, share)
    if options.plot:
        _plot(options.plot, results)
    return int(bool(wrong or memory.left or any(ratio.missed for ratio in ratios)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, help="default 7; with --quick 3")
    parser.add_argument("--seconds", type=float, help="of load per window; default 1.0; with --quick 0.3")
    parser.add_argument("--quick", action="store_true", help="the cases that have bars, in about a minute")
    parser.add_argument(
        "--only", default="", metavar="REGEX", help="cases, by the end of their ratios' names"
    )
    parser.add_argument(
        "--without", default=[], nargs="+", metavar="NAME", choices=MODELS, help="contestants"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a plot, HTML")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 7)
    options.seconds = options.seconds or (0.3 if options.quick else 1.0)
    return options


def _cases(quick: bool) -> list[Case]:
    if quick:
        return [
            *(Case("chain", size, 1) for size in ("64B", "16MB", "64MB")),
            Case("chain", "64B", MANY_CLIENTS),
        ]
    return [Case(shape, size, clients) for shape in SHAPES for clients in (1, MANY_CLIENTS) for size in SIZES]


def _run_round(
    url: str, measure: Measure, case: Case, contestants: list[str], duration_s: float, number: int
) -> dict[str, Result]:
    """A window for every contestant."""
    random.Random(f"{number} {case.label}").shuffle(contestants)
    n_least = 2 * case.clients + 3
    found = {}
    for name in contestants:
        requests = asks(case.shape, SIZES[case.size], name)
        model = MODELS[name].format(case.shape)
        found[name] = measure(Window(url, "grpc", model, requests, case.clients, duration_s, n_least))
    return found


def _ratios(results: Results) -> Iterator[Ratio]:
    for case, by_name in results.items():
        for name, quantity, one, other in _comparisons(case):
            if one in by_name and other in by_name:
                values = ([getattr(result, quantity) for result in by_name[each]] for each in (one, other))
                rounds = tuple(value / its if its else 0.0 for value, its in zip(*values, strict=True))
                yield Ratio(f"{name}_{case.label}", rounds)


def _comparisons(case: Case) -> Iterator[tuple[str, str, str, str]]:
    """Of each ratio: its name, of what it is, of whom, and through whose."""
    if case.clients > 1:
        for other in ("monolith", "ensemble", "bls", "async_bls", "bls_8_instances"):
            yield f"throughput_vs_{other}", "rate_hz", "ours", other
        yield "public_throughput_vs_ensemble", "rate_hz", "public", "ensemble"
        yield "throughput_vs_bare", "rate_hz", "ours", "bare"
        yield "bare_throughput_vs_bls", "rate_hz", "bare", "bls"
        yield "in_stub_throughput_vs_bls", "rate_hz", "ours_in_stub", "bls"
        yield "public_in_stub_throughput_vs_ensemble", "rate_hz", "public_in_stub", "ensemble"
    else:
        yield "time_vs_monolith", "p50_s", "ours", "monolith"
        for other in ("ensemble", "bls", "async_bls"):
            yield f"speed_vs_{other}", "p50_s", other, "ours"
        yield "public_time_vs_ensemble", "p50_s", "public", "ensemble"
        yield "in_stub_speed_vs_bls", "p50_s", "bls", "ours_in_stub"
        yield "public_in_stub_time_vs_ensemble", "p50_s", "public_in_stub", "ensemble"


def _times(results: Results, clients: int) -> Table:
    what = "answers per second" if clients > 1 else "milliseconds until the answer, p50"
    table = Table("", title=f"{what}, {clients} client{'s' * (clients > 1)}", title_justify="left")
    cases = [case for case in results if case.clients == clients]
    names = [name for name in MODELS if any(name in results[case] for case in cases)]
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for case in cases:
        figures = (_figure(results[case].get(name, []), clients) for name in names)
        table.add_row(f"{case.shape} {case.size}", *figures)
    return table


def _figure(results: Sequence[Result], clients: int) -> str:
    if not results:
        return ""
    if clients > 1:
        return f"{statistics.median(result.rate_hz for result in results):.4g}"
    return f"{statistics.median(result.p50_s for result in results) * 1e3:.3g}"


def _comparison(ratios: Sequence[Ratio]) -> Table:
    table = Table("ratio", title="ratios, the median of all rounds", title_justify="left")
    for heading in ("median", "range", "bar", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for ratio in ratios:
        verdict = ("missed" if ratio.missed else "reached") if ratio.bar else ""
        table.add_row(
            *(ratio.name, f"[bold]{ratio.value:.2f}[/]", f"{min(ratio.rounds):.2f}-{max(ratio.rounds):.2f}"),
            *(ratio.bar, verdict),
            style="red" if ratio.missed else "green" if ratio.bar else "",
        )
    return table


def _write_json(
    file: Path,
    ratios: Sequence[Ratio],
    results: Results,
    memory: MemoryWatch,
    n_wrong: int,
    generator_share: float,
) -> None:
    report = {
        "ratios": {ratio.name: ratio.value for ratio in ratios},
        "ranges": {ratio.name: [min(ratio.rounds), max(ratio.rounds)] for ratio in ratios},
        "bars": {ratio.name: ratio.bar for ratio in ratios if ratio.bar},
        "missed": [ratio.name for ratio in ratios if ratio.missed],
        "results": {
            f"{name} {case.label}": [asdict(result) for result in some]
            for case, by_name in results.items()
            for name, some in by_name.items()
        },
        "wrong": n_wrong,
        "generator_share": generator_share,
        "peak_arena_bytes": memory.peak_arena_bytes,
        "peak_region_bytes": memory.peak_region_bytes,
        "left_in_dev_shm": [str(path) for path in memory.left],
    }
    file.write_text(json.dumps(report, indent=1) + "\n")


def _plot(file: Path, results: Results) -> None:
    """Time over size for one client and rate over size for many, as HTML that needs no network."""
    import plotly.graph_objects as go
    from plotly.colors import qualitative
    from plotly.subplots import make_subplots

    shapes = sorted({case.shape for case in results})
    titles = [f"{shape}, {what}" for what in ("ms until the answer", "answers per s") for shape in shapes]
    figure = make_subplots(rows=2, cols=len(shapes), subplot_titles=titles)
    for column, shape in enumerate(shapes, start=1):
        for row, clients in enumerate((1, MANY_CLIENTS), start=1):
            cases = [case for case in results if (case.shape, case.clients) == (shape, clients)]
            for index, name in enumerate(MODELS):
                measured = [case for case in cases if name in results[case]]
                xs = [SIZES[case.size] for case in measured]
                ys = [float(_figure(results[case][name], clients)) for case in measured]
                style = {"legendgroup": name, "showlegend": row == column == 1, "name": name}
                line = {"color": qualitative.D3[index], "width": 4 if name == "ours" else 2}
                figure.add_trace(go.Scatter(x=xs, y=ys, line=line, **style), row, column)
    ticks = {"type": "log", "tickvals": [*SIZES.values()], "ticktext": [*SIZES]}
    figure.update_xaxes(title="bytes per edge", **ticks)
    figure.update_yaxes(type="log")
    figure.update_layout(height=900, title="Tensors from component to component: 1 client above, 8 below")
    figure.write_html(file, include_plotlyjs=True)


if __name__ == "__main__":
    sys.exit(main())
