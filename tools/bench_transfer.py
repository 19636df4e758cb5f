"""Compares how tensors get from one server to another: over Triton's gRPC, by NIXL, by a plain TCP copy.

The servers are real tritonservers on this machine that share no memory. Measured is the time from the call
until the tensor lies in the target's arena, where a component could read it; for TCP until the last byte has
come from another process into memory that is used again. UCX, below NIXL, is kept to TCP: it is at home on
networks with RDMA, and what it gains there this cannot show.

Every contestant has a turn in every round, in changing order, so that whatever else the machine does falls on
all of them. A ratio is that of two times of one round; printed are its median over the rounds, and its range.
MB are 2**20 bytes.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.transfer import contestants
from rich.console import Console
from rich.progress import track
from rich.table import Table

SIZES = {"1MB": 2**20, "16MB": 16 * 2**20, "64MB": 64 * 2**20}

# Seconds in each round, by size and contestant.
Times = Mapping[str, Mapping[str, Sequence[float]]]


def main() -> int:
    """Measures and prints; 1 where something else came than was sent."""
    options = _options()
    console = Console()
    console.print("starting a tritonserver that has the tensors, and one for each way to get them")
    times: dict[str, dict[str, list[float]]] = {size: defaultdict(list) for size in SIZES}
    n_wrong = 0
    with contestants([*SIZES.values()]) as ready:
        turns = [(number, size) for number in range(-options.warmups, options.rounds) for size in SIZES]
        for number, size in track(turns, "rounds", console=console):
            names = random.Random(f"{number} {size}").sample(ready.names, len(ready.names))
            for name in names:
                seconds, right = ready.measure(name, SIZES[size])
                n_wrong += not right
                if number >= 0:
                    times[size][name].append(seconds)
    ratios = _ratios(times)
    console.print(_table(times))
    console.print(_comparison(ratios))
    if "nixl" not in ready.names:
        console.print("NIXL is not installed: pip install nixl-cu12")
    console.print(f"{n_wrong} tensors were not what was sent.")
    if options.json:
        _write_json(options.json, ratios, times, n_wrong)
    return int(n_wrong > 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--warmups", type=int, default=3, help="rounds before those that count")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    return parser.parse_args()


def _ratios(times: Times) -> dict[str, list[float]]:
    """In each round, by name: the time of each other way over that of the TCP copy."""
    return {
        f"time_{name}_vs_tcp_{size}": [one / other for one, other in zip(some, by_name["tcp"], strict=True)]
        for size, by_name in times.items()
        for name, some in by_name.items()
        if name != "tcp"
    }


def _table(times: Times) -> Table:
    table = Table("", title="milliseconds, the median of all rounds, and MB/s", title_justify="left")
    names = sorted(next(iter(times.values())))
    for name in names:
        table.add_column(name, justify="right")
    for size, by_name in times.items():
        medians = [statistics.median(by_name[name]) for name in names]
        table.add_row(size, *(f"{s * 1e3:.1f}   {SIZES[size] / 2**20 / s:.0f}" for s in medians))
    return table


def _comparison(ratios: Mapping[str, Sequence[float]]) -> Table:
    table = Table("ratio", "median", "range", title="ratios, the median of all rounds", title_justify="left")
    for name, rounds in ratios.items():
        table.add_row(
            name, f"[bold]{statistics.median(rounds):.2f}[/]", f"{min(rounds):.2f}-{max(rounds):.2f}"
        )
    return table


def _write_json(file: Path, ratios: Mapping[str, Sequence[float]], times: Times, n_wrong: int) -> None:
    report = {
        "ratios": {name: statistics.median(rounds) for name, rounds in ratios.items()},
        "ranges": {name: [min(rounds), max(rounds)] for name, rounds in ratios.items()},
        "seconds": times,
        "wrong": n_wrong,
    }
    file.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
