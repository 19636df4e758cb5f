"""Compares the orchestrator with hand-written BLS models over the same components, as ratios of one run.

Every contestant gets a short window of load in every round, in changing order, so that whatever else the
machine does falls on all of them. A ratio is that of two windows of one round; printed are its median over
the rounds, and its range. Two ratios have a bar, those of the first release: twice the throughput of a BLS
model with 8 instances where components sleep, nine tenths of one with a single instance where they compute
nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc.aio
import tritonclient.http.aio
from bench import load
from bench.contestants import DIMS, GROUPS, Contestant, Group, serving
from bench.load import Ask, Measure, Result, Tensor, Window
from rich.console import Console
from rich.progress import track
from rich.table import Table

from corntriton.serving.client import make_request
from corntriton.serving.server import Server

_PROTOCOLS = ("http", "grpc")
_AT_ONCE = 256

# Of one round: the results of its contestants by protocol and model.
Round = Mapping[tuple[str, str], Result]


@dataclass(frozen=True)
class Comparison:
    """One row of the table.

    Attributes:
        group: What the components do.
        protocol: `http` or `grpc`.
        other: Whom the orchestrator is compared with.
        rate_hz: The orchestrator's, the median of all rounds.
        other_rate_hz: The other's.
        ratios: Of the two, round by round.
        bar: What the median ratio has to reach, if anything.
    """

    group: str
    protocol: str
    other: str
    rate_hz: float
    other_rate_hz: float
    ratios: tuple[float, ...]
    bar: float | None

    @property
    def ratio(self) -> float:
        """The median."""
        return statistics.median(self.ratios)

    @property
    def missed(self) -> bool:
        """It has a bar and is below."""
        return self.bar is not None and self.ratio < self.bar


def main() -> int:
    """Measures and prints; 1 where a bar is missed or an answer is wrong."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of load per window")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    options = parser.parse_args()
    console = Console()
    console.print("starting a tritonserver with all contestants")
    with serving() as server, load.generator() as measure:
        right = {protocol: asyncio.run(_right_of_many(server, protocol)) for protocol in _PROTOCOLS}
        numbers = track(range(options.rounds), "rounds", console=console)
        rounds = [_run_round(server, measure, options.seconds, number) for number in numbers]
    comparisons = [*_compare(rounds)]
    results = [result for results in rounds for result in results.values()]
    wrong = sum(result.wrong for result in results)
    for group in GROUPS:
        console.print(_table(group.name, [row for row in comparisons if row.group == group.name]))
    share = statistics.median(result.generator_share for result in results)
    console.print(f"The load generator took {share:.0%} of one CPU (median); {wrong} answers were wrong.")
    for protocol, count in right.items():
        console.print(f"Of {_AT_ONCE} requests at once over {protocol}, {count} got the right answer.")
    if options.json:
        report = {
            "comparisons": [asdict(comparison) for comparison in comparisons],
            "right_of_256_at_once": right,
            "wrong": wrong,
            "generator_share": share,
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    failed = wrong or any(comparison.missed for comparison in comparisons)
    return int(bool(failed or any(count < _AT_ONCE for count in right.values())))


async def _right_of_many(server: Server, protocol: str) -> int:
    """How many of many different requests, all sent at once to one orchestrator, are answered right."""
    module: Any = {"http": tritonclient.http.aio, "grpc": tritonclient.grpc.aio}[protocol]
    url, more = (server.http_url, {"conn_limit": _AT_ONCE}) if protocol == "http" else (server.grpc_url, {})
    xs = [np.full(DIMS, number, np.float32) for number in range(_AT_ONCE)]
    async with module.InferenceServerClient(url, **more) as client:
        calls = [client.infer("sleeping", **make_request(module, {"x": x}, ["y"])) for x in xs]
        answers = await asyncio.gather(*calls)
    return sum(np.array_equal(a.as_numpy("y"), x + 3) for a, x in zip(answers, xs, strict=True))


def _run_round(server: Server, measure: Measure, duration_s: float, number: int) -> Round:
    """A window for every contestant and protocol; contestants of a group follow each other."""
    results = {}
    for group in GROUPS:
        for protocol in _PROTOCOLS:
            contestants = [group.ours, *group.others]
            random.Random(number).shuffle(contestants)
            for contestant in contestants:
                window = _window(server, group, contestant, protocol, duration_s)
                results[protocol, contestant.model] = measure(window)
    return results


def _window(server: Server, group: Group, contestant: Contestant, protocol: str, duration_s: float) -> Window:
    url = server.http_url if protocol == "http" else server.grpc_url
    x = np.linspace(1, 2, DIMS, dtype=np.float32).reshape(contestant.shape)
    ask = Ask([Tensor.of("x", x)], "y", (x + np.float32(group.added)).tobytes().hex())
    return Window(url, protocol, contestant.model, [ask], group.clients, duration_s)


def _compare(rounds: list[Round]) -> Iterator[Comparison]:
    rates: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for results in rounds:
        for key, result in results.items():
            rates[key].append(result.rate_hz)
    for group in GROUPS:
        for protocol in _PROTOCOLS:
            ours = rates[protocol, group.ours.model]
            for other in group.others:
                theirs = rates[protocol, other.model]
                ratios = tuple(our / their for our, their in zip(ours, theirs, strict=True))
                medians = statistics.median(ours), statistics.median(theirs)
                yield Comparison(group.name, protocol, other.name, *medians, ratios, other.bar)


def _table(group: str, comparisons: list[Comparison]) -> Table:
    table = Table("", "compared with", title=group, title_justify="left")
    for heading in ("its rate/s", "ours/s", "ratio", "range", "bar"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in comparisons:
        table.add_row(
            *(row.protocol, row.other, f"{row.other_rate_hz:.0f}", f"{row.rate_hz:.0f}"),
            *(f"[bold]{row.ratio:.2f}[/]", f"{min(row.ratios):.2f}-{max(row.ratios):.2f}"),
            f">= {row.bar}" if row.bar else "",
            style="red" if row.missed else "green" if row.bar else "",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
