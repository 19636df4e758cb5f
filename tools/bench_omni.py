"""Compares the omni example planned, as one hand-written monolith, and with one instance of each component.

The components are the real ones, on the cores that this process may use. Each contestant has a server of its
own, and only the one that is loaded has anything to do. First some clients that wait for their answers,
enough to keep every server busy, show how much each serves. Then Poisson arrivals, at a rate that all can
keep, show how long answers take. In every round each contestant gets a window, in changing order, with the
same requests. A ratio is that of two windows of one round; printed are its median over the rounds, and its
range. Above 1 the planned one is better: it serves more, or answers sooner.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

OMNI = Path(__file__).resolve().parent.parent / "examples" / "omni"
sys.path.insert(0, str(OMNI))  # its scripts import each other from there

import numpy as np  # noqa: E402
from bench.omni_asks import Ask, find_asks, right_answers  # noqa: E402
from bench.omni_load import Loader, Result, turns  # noqa: E402
from bench.omni_models import HERE, MONOLITHS, ONE_EACH, PLANNED, Contestant, serving  # noqa: E402
from bench.omni_tables import Results, contestants_table, median, ratios_table, trial_table, work_table  # noqa: E402
from rich.console import Console  # noqa: E402

from corntriton.errors import Problems  # noqa: E402
from corntriton.load.arrivals import arrivals  # noqa: E402
from corntriton.spec.load import load_models  # noqa: E402
from corntriton.spec.workload import Workload, read_workload  # noqa: E402

MONOLITH = "monolith"
# Of the least that any of them serves with all clients: a rate that all keep.
LOAD_SHARE = 0.7

# Loads a contestant in the round of a number.
Load = Callable[[Contestant, int], Result]


def main() -> int:
    """Measures and prints; 1 where an answer is wrong."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 150)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:

        def serve(name: str) -> Contestant:
            console.print(f"starting {name}")
            return stack.enter_context(serving(name, Path(folder) / name))

        monoliths = [serve(name) for name in options.monoliths]
        asks, workload = _requests()
        console.print("asking for every answer once, to judge them; then trying the monoliths")
        right, wrong = right_answers(monoliths[0], [ask for some in asks.values() for ask in some])
        bed = Bed(asks, workload, Loader(right), options)
        trial = {each.name: bed.trial(each) for each in monoliths}
        console.print(trial_table(trial))
        best = _keep_best(monoliths, trial)
        contestants = {name: serve(name) for name in (PLANNED, HERE, ONE_EACH)}
        bed.warm_up(contestants.values())
        contestants[MONOLITH] = best
        served = _rounds(contestants, bed.closed, options.rounds, console)
        rate_hz = LOAD_SHARE * min(median(some, lambda one: one.rate_hz) for some in served.values())
        timed = _rounds(contestants, bed.arriving(rate_hz), options.rounds, console)
    console.print(contestants_table(contestants, served, timed, rate_hz), work_table(served))
    ratios = compare(served, timed)
    console.print(ratios_table(ratios))
    every = [
        *trial.values(),
        *(result for results in (served, timed) for some in results.values() for result in some),
    ]
    wrong += [name for result in every for name in result.wrong]
    share = max(result.seen.generator_share for result in every)
    console.print(
        f"The load generator took at most {share:.0%} of the cores; {len(wrong)} answers were wrong."
    )
    for name in wrong:
        console.print(f"wrong: {name}", style="red")
    if options.json:
        report = {
            "ratios": {name: statistics.median(rounds) for name, rounds in ratios.items()},
            "ranges": {name: [min(rounds), max(rounds)] for name, rounds in ratios.items()},
            "contestants": {name: contestant.says for name, contestant in contestants.items()},
            "rate_hz": rate_hz,
            "trial": {name: asdict(result) for name, result in trial.items()},
            "throughput": _plain(served),
            "times": _plain(timed),
            "wrong": wrong,
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return int(bool(wrong))


def _keep_best(monoliths: Sequence[Contestant], trial: Mapping[str, Result]) -> Contestant:
    """The one that served most; the others' servers are stopped."""
    best = max(monoliths, key=lambda each: trial[each.name].rate_hz)
    for each in monoliths:
        if each is not best:
            each.server.stop()
    return best


class Bed:
    """The loads of all windows: the same requests for all contestants of a round.

    Args:
        asks: By request type.
        workload: Has the mix.
        loader: Sends and checks.
        options: Of the command line.
    """

    def __init__(
        self,
        asks: Mapping[str, Sequence[Ask]],
        workload: Workload,
        loader: Loader,
        options: argparse.Namespace,
    ) -> None:
        self._asks, self._workload, self._loader, self._options = asks, workload, loader, options
        self._shares = {name: traffic.share or 0.0 for name, traffic in workload.request_types.items()}

    def trial(self, contestant: Contestant) -> Result:
        """A window of its own, before the rounds, in which nobody is cold."""
        self.warm_up([contestant])
        return self.closed(contestant, self._options.rounds)

    def warm_up(self, contestants: Iterable[Contestant]) -> None:
        """A request of each type; the first are slower than all others."""
        each_type = [some[0] for some in self._asks.values()]
        for contestant in contestants:
            self._loader.open(contestant, [(0.0, ask) for ask in each_type], 0.0)

    def closed(self, contestant: Contestant, number: int) -> Result:
        """As many clients as keep any of them busy."""
        asks = turns(self._asks, self._shares, np.random.default_rng(number))
        return self._loader.closed(contestant, asks, self._options.clients, self._options.requests)

    def arriving(self, rate_hz: float) -> Load:
        """Poisson arrivals in the workload's mix."""

        def load(contestant: Contestant, number: int) -> Result:
            due = arrivals(self._workload, rate_hz, self._options.requests / rate_hz, number)
            picked = [(each.at_s, self._pick(each.request_type, each.number)) for each in due]
            return self._loader.open(contestant, picked, rate_hz)

        return load

    def _pick(self, request_type: str, number: int) -> Ask:
        return self._asks[request_type][number % len(self._asks[request_type])]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, help="default 3; with --quick 2")
    parser.add_argument("--requests", type=int, help="that count in a window; default 20; with --quick 10")
    parser.add_argument("--clients", type=int, default=6, help="that wait for answers; default 6")
    parser.add_argument("--quick", action="store_true", help="in half of the time, with wider ranges")
    parser.add_argument(
        "--monoliths", nargs="+", default=[*MONOLITHS], choices=MONOLITHS, help="to find the best of"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 3)
    options.requests = options.requests or (10 if options.quick else 20)
    return options


def _requests() -> tuple[dict[str, list[Ask]], Workload]:
    """The example's requests by type, and its workload."""
    problems = Problems()
    workload = read_workload(str(OMNI / "workload.yaml"), problems)
    problems.raise_if_any()
    assert workload is not None  # else there were problems
    (model,) = load_models([OMNI / "model.yaml"])
    return find_asks(model), workload


def _rounds(
    contestants: Mapping[str, Contestant], load: Load, count: int, console: Console
) -> dict[str, list[Result]]:
    results: dict[str, list[Result]] = {name: [] for name in contestants}
    for number in range(count):
        names = [*contestants]
        random.Random(number).shuffle(names)
        for name in names:
            result = load(contestants[name], number)
            results[name].append(result)
            console.print(
                f"round {number + 1}, {name}: {result.rate_hz:.2f} per s, p99 {result.time_s(99):.1f} s "
                f"({result.slowest}), other programs took {result.seen.others_share:.0%} of the cores; "
                f"{len(result.wrong)} wrong"
            )
    return results


def compare(served: Results, timed: Results) -> dict[str, list[float]]:
    """Throughput, p99 and mean time of both plans beside the monolith and one of each, round by round."""
    found = {}
    for ours, label in ((PLANNED, ""), (HERE, "_here")):
        for other in (MONOLITH, ONE_EACH):
            busy = [*zip(served[ours], served[other], strict=True)]
            calm = [*zip(timed[ours], timed[other], strict=True)]
            found[f"throughput{label}_vs_{other}"] = [one.rate_hz / its.rate_hz for one, its in busy]
            found[f"p99{label}_vs_{other}"] = [its.time_s(99) / one.time_s(99) for one, its in calm]
            found[f"mean_time{label}_vs_{other}"] = [its.mean_s / one.mean_s for one, its in calm]
    return found


def _plain(results: Results) -> dict[str, Any]:
    return {name: [asdict(result) for result in some] for name, some in results.items()}


if __name__ == "__main__":
    sys.exit(main())
