"""Soaks three servers that work as one, while processes and servers are killed, clients leave, time runs out.

The requests are those of tools/soak_dataplane.py, through a balancer; tensors cross between the servers.
Every answer is compared with what the same functions compute here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from bench.soaking import LATE, MODEL, Request, draw_fate, draw_request
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cluster.asking import Asker, Query
from cluster.balancer import servers_asked
from cluster.holdings import Held, memory_bytes, settled, worker_pids
from cluster.network import BACK, counters
from cluster.outages import Asked, Outages, Verdict
from cluster.servers import Cluster
from cluster.spread import spread
from cluster.waiting import READY_WITHIN_S, until

from corntriton.repository.build import build
from corntriton.spec.load import load_models

_MB = 2**20
_DISTINCT = 400
_N_SAMPLES = 100
# Servers are killed in the first part, memory counts in the last: tritonserver's allocator keeps what the
# heap of each of its threads once needed, and each has to have had its turn.
_KILLS_END_AT, _SETTLED_AFTER = 0.45, 0.6
_MOST_GROWTH = 1.1
_DEAD_FOR_S = 3.0
_LOOK_S = 0.05
# Until the others have seen that a server is back.
_SEEN_IN_S = 5.0
# What takes longer never ends.
_LONGEST_S = 120.0
# Of a request whose process was killed, twice where it was repeated.
_KILLED_TWICE = "its process ended"


@dataclass(frozen=True)
class Report:
    """What came of the soak.

    Attributes:
        way: How the servers stood.
        seed: Of everything that was drawn.
        seconds: It took.
        outcomes: How many requests had which.
        refusals: By the balancer, of streams; clients asked again.
        unexplained: Texts of failures that nothing explains.
        process_kills: Of component processes.
        server_kills: By server.
        crossed_bytes: Out of all servers to others; of those that were killed, since they are back.
        held: By each server, when all was answered.
        memory_bytes: All servers' own, by what runs in their processes, sampled over the soak.
        growth: Of each, in bytes: the mean of the last quarter less that of the first, once warm.
        left: By each server, and this machine, in the end.
    """

    way: str
    seed: int
    seconds: float
    outcomes: dict[str, int]
    refusals: int
    unexplained: list[str]
    process_kills: int
    server_kills: dict[str, int]
    crossed_bytes: int
    held: dict[str, Held]
    memory_bytes: list[dict[str, int]]
    growth: dict[str, float]
    left: dict[str, list[str]]

    @property
    def good(self) -> bool:
        """Nothing wrong, nothing lost without a reason, nothing leaked, no growth."""
        bad = self.outcomes.get("wrong", 0) + self.outcomes.get("lost", 0)
        leaks = any(self.left.values()) or not all(each.nothing for each in self.held.values())
        return not bad and not leaks and self.grown <= _MOST_GROWTH

    @property
    def grown(self) -> float:
        """All memory in the end, over what it was once warm."""
        total = sum(self.memory_bytes[-1].values())
        return total / (total - sum(self.growth.values()))


def main() -> int:
    """Soaks and prints; 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=30, help="of component processes")
    parser.add_argument("--server-kills", type=int, default=4)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gbit", type=float, default=1.0, help="of each server's link, in pods")
    parser.add_argument("--loopback", action="store_true", help="without namespaces")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keeps the logs of all servers")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that SIGTERM, too, ends everything
    with tempfile.TemporaryDirectory() as folder:
        models = load_models([MODEL])
        build(models, Path(folder) / "out", plan=spread(models))
        with Cluster(Path(folder) / "out", options.gbit, options.loopback, logs=options.logs) as cluster:
            console.print(cluster.way)
            soak = Soak(cluster, options.seed, options.requests, options.kills, options.server_kills)
            with Progress(console=console) as progress:
                task = progress.add_task("requests", total=options.requests)
                asyncio.run(soak.run(options.clients, lambda: progress.advance(task)))
            held = settled(cluster.members.values())
            outcomes, unexplained = soak.account()
            crossed = _crossed(cluster)
    report = Report(
        cluster.way,
        options.seed,
        soak.seconds,
        outcomes,
        soak.refusals,
        unexplained,
        soak.process_kills,
        soak.server_kills,
        crossed,
        held,
        soak.memory_bytes,
        soak.growth,
        cluster.left,
    )
    console.print(_table(report))
    if options.json:
        options.json.write_text(json.dumps({**asdict(report), "good": report.good}, indent=1) + "\n")
    return int(not report.good)


class Soak:
    """Asks, kills, looks.

    Args:
        cluster: With the model.
        seed: Of everything that is drawn.
        n_requests: To ask.
        n_kills: Of component processes, evenly over them.
        n_server_kills: Of servers, evenly over their first part.
    """

    def __init__(
        self, cluster: Cluster, seed: int, n_requests: int, n_kills: int, n_server_kills: int
    ) -> None:
        self._cluster = cluster
        self._random = random.Random(seed)
        self._requests = [draw_request(self._random) for _ in range(_DISTINCT)]
        self._n_requests = n_requests
        self._kill_at = {round((n + 1) * n_requests / (n_kills + 1)) for n in range(n_kills)}
        first_part = _KILLS_END_AT * n_requests
        self._kill_server_at = [round((n + 0.5) * first_part / n_server_kills) for n in range(n_server_kills)]
        self._sample_at = {round(n * n_requests / _N_SAMPLES) for n in range(_N_SAMPLES)}
        self._outages = Outages()
        self._asked: list[Asked] = []
        self._away = ""
        self.process_kills = self.refusals = 0
        self.server_kills: dict[str, int] = {}
        self.memory_bytes: list[dict[str, int]] = []
        self.seconds = 0.0

    async def run(self, n_clients: int, advance: Callable[[], object]) -> None:
        """Has the clients ask until all requests have been asked."""
        began_s = time.monotonic()
        numbers = iter(range(self._n_requests))
        killing = asyncio.create_task(self._kill_servers())
        async with Asker(self._cluster.front) as asker:

            async def ask_on() -> None:
                for number in numbers:
                    await self._disturb(number)
                    self._asked.append(await self._ask(asker))
                    advance()

            await asyncio.gather(*(ask_on() for _ in range(n_clients)))
            self.refusals = asker.refusals
        await killing
        self.seconds = time.monotonic() - began_s

    @property
    def growth(self) -> dict[str, float]:
        """Of the memory, once warm."""
        warm = self.memory_bytes[round(_SETTLED_AFTER * len(self.memory_bytes)) :]
        quarter = max(1, len(warm) // 4)
        return {kind: _mean(warm[-quarter:], kind) - _mean(warm[:quarter], kind) for kind in warm[-1]}

    def account(self) -> tuple[dict[str, int], list[str]]:
        """How many requests had which outcome, and the texts of those that nothing explains."""
        entered = servers_asked(self._cluster.balancer_log())
        found = self._outages.account(self._asked, entered, {})
        lost = found.pop("lost", [])
        twice = [each for each in lost if _KILLED_TWICE in each.reply.error]
        found["killed twice"] = twice
        found["lost"] = [each for each in lost if each not in twice]
        texts = [f"{each.sort}, {entered.get(each.reply.name)}: {each.reply.error}" for each in found["lost"]]
        return {kind: len(each) for kind, each in sorted(found.items()) if each}, texts[:20]

    async def _disturb(self, number: int) -> None:
        if number in self._sample_at:
            members = self._cluster.members.values()
            self.memory_bytes.append(await asyncio.to_thread(memory_bytes, [*members]))
        if number in self._kill_at:
            self._kill_process()

    def _kill_process(self) -> None:
        # A component that dies while it loads keeps its server from starting.
        members = [each for name, each in self._cluster.members.items() if name != self._away]
        workers = [pid for each in members for pid in worker_pids(each)]
        os.kill(self._random.choice(sorted(workers)), signal.SIGKILL)
        self.process_kills += 1

    async def _kill_servers(self) -> None:
        """One after the other: with two of the three away, there would be requests that nobody can answer."""
        for number in self._kill_server_at:
            while len(self._asked) < number:
                await asyncio.sleep(_LOOK_S)
            if len(self._asked) < self._n_requests:
                await self._kill_server()

    async def _kill_server(self) -> None:
        name = self._random.choice([*self._cluster.members])
        member = self._cluster.members[name]
        self.server_kills[name] = self.server_kills.get(name, 0) + 1
        self._away = name
        with self._outages.of(name, "killed"):
            await asyncio.to_thread(member.kill)
            await asyncio.sleep(_DEAD_FOR_S)
            await asyncio.to_thread(self._cluster.start, name)
            await until(member.ready, READY_WITHIN_S)
            await asyncio.sleep(_SEEN_IN_S)
        self._away = ""

    async def _ask(self, asker: Asker) -> Asked:
        request, fate = self._random.choice(self._requests), draw_fate(self._random)
        query = Query("soaked", request.inputs, [request.output], timeout_s=fate.timeout_s)
        sent_s = time.monotonic()
        asking = asyncio.ensure_future(asker.ask(query))
        if fate.cancel_after_s is not None:
            await asyncio.wait([asking], timeout=fate.cancel_after_s)
            asking.cancel()
        try:
            reply = await asyncio.wait_for(asking, _LONGEST_S)
        except asyncio.CancelledError:
            return Asked(request.output, "cancelled", sent_s, time.monotonic(), asker.nothing("cancelled"))
        except asyncio.TimeoutError:
            return Asked(request.output, "failed", sent_s, time.monotonic(), asker.nothing("never answered"))
        verdict: Verdict = _verdict(request, reply.outputs, reply.error, fate.timeout_s is not None)
        return Asked(request.output, verdict, sent_s, time.monotonic(), reply)


def _verdict(request: Request, outputs: object, error: str, hurried: bool) -> Verdict:
    if not error:
        assert isinstance(outputs, dict)
        return "right" if np.array_equal(outputs[request.output], request.answer) else "wrong"
    return "late" if hurried and any(part in error for part in LATE) else "failed"


def _mean(samples: list[dict[str, int]], kind: str) -> float:
    return float(np.mean([each.get(kind, 0) for each in samples]))


def _crossed(cluster: Cluster) -> int:
    if cluster.network is None:
        return 0
    return sum(counters(each.pod, BACK).out for each in cluster.members.values())


def _table(report: Report) -> Table:
    table = Table("", "", title=f"soak of {report.seconds:.0f} s", title_justify="left", show_header=False)
    for outcome, count in report.outcomes.items():
        table.add_row(f"requests {outcome}", str(count))
    table.add_row("streams refused by HAProxy", str(report.refusals))
    for text in report.unexplained:
        table.add_row("unexplained", text)
    table.add_row("component processes killed", str(report.process_kills))
    table.add_row("servers killed", ", ".join(f"{name} x {n}" for name, n in report.server_kills.items()))
    table.add_row("between servers, without those killed", f"{report.crossed_bytes / _MB:.0f} MB")
    for name, held in report.held.items():
        text = f"{held.tensor_bytes} bytes, {held.requests} requests, {held.claims} claims"
        table.add_row(f"held in the end, {name}", text)
    for name, left in report.left.items():
        table.add_row(f"left after the stop, {name}", ", ".join(left) or "nothing")
    ends = [sum(each.values()) for each in (report.memory_bytes[0], report.memory_bytes[-1])]
    table.add_row("memory, first and last", " and ".join(f"{nbytes / _MB:.0f} MB" for nbytes in ends))
    table.add_row("its growth once warm", f"{report.grown - 1:+.1%}")
    for kind, nbytes in report.growth.items():
        table.add_row(
            f"of it, {kind}", f"{nbytes / _MB:+.1f} of {report.memory_bytes[-1][kind] / _MB:.0f} MB"
        )
    table.add_row("verdict", "good" if report.good else "bad", style="green" if report.good else "red")
    return table


if __name__ == "__main__":
    sys.exit(main())
