"""Soaks the data plane: requests of mixed sizes, while processes are killed, clients leave and time runs out.

Every answer is compared with what the same functions compute here. In the end nothing of shared memory may be
held, and the server's processes may not have grown. Sizes are 64 B to 16 MB, most of them small.
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
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc.aio
from bench.arenas import Holdings, look_into
from bench.memory import MemoryWatch
from bench.processes import anonymous_bytes, worker_pids
from bench.soaking import LATE, MODEL, draw_fate, draw_request
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from tritonclient.utils import InferenceServerException

from corntriton.repository.build import build
from corntriton.serving.client import make_request
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server
from corntriton.spec.load import load_models

_MB = 2**20
_DISTINCT = 400
# What the soak may see of a request whose process was killed, twice where it was repeated.
_LOST = "its process ended"
# Memory counts from here on: tritonserver's allocator keeps what the heap of each of its threads once needed
# for inputs of 16 MB, and each thread has to have had its turn.
_SETTLED_AFTER = 0.5
_MOST_GROWTH = 1.1


@dataclass(frozen=True)
class Report:
    """What came of the soak.

    Attributes:
        outcomes: How many requests had which: right, wrong, cancelled, late, lost, unexpected.
        kills: Worker processes killed.
        unexpected: Texts of failures that nothing explains.
        seconds: It took.
        held_bytes: Of tensors that are still held when all is answered.
        live_requests: That owners still have then.
        claims: Of readers that stand then.
        peak_arena_bytes: The most that arenas took.
        capacity_bytes: What they take in the end.
        memory_bytes: The server's processes' own memory, sampled over the soak.
        growth: Of it, the mean of the last quarter over that of the first after warming up.
        left: Files in /dev/shm once the server has stopped.
    """

    outcomes: dict[str, int]
    kills: int
    unexpected: list[str]
    seconds: float
    held_bytes: int
    live_requests: int
    claims: int
    peak_arena_bytes: int
    capacity_bytes: int
    memory_bytes: list[int]
    growth: float
    left: list[str]

    @property
    def good(self) -> bool:
        """Nothing wrong, nothing lost without a reason, nothing leaked, no growth."""
        bad = self.outcomes.get("wrong", 0) + self.outcomes.get("unexpected", 0)
        leaked = self.held_bytes or self.live_requests or self.claims or self.left
        return not bad and not leaked and self.growth <= _MOST_GROWTH


def main() -> int:
    """Soaks and prints; 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=40, help="of component processes")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    console = Console()
    with serving() as server, MemoryWatch(server.id) as watch:
        soak = Soak(server, watch, options.seed)
        with Progress(console=console) as progress:
            task = progress.add_task("requests", total=options.requests)
            work_ = soak.run(options.requests, options.kills, options.clients, lambda: progress.advance(task))
            asyncio.run(work_)
        holdings = soak.settle()
        server.stop()
        report = soak.report(holdings)
    console.print(_table(report))
    if options.json:
        options.json.write_text(json.dumps({**asdict(report), "good": report.good}, indent=1) + "\n")
    return int(not report.good)


@contextmanager
def serving() -> Iterator[Server]:
    """A server with the model of bench/soaked."""
    with tempfile.TemporaryDirectory() as folder:
        build(load_models([MODEL]), Path(folder) / "out")
        with Server(read_deployment(Path(folder) / "out"), find_launcher(), exit_timeout_s=10) as server:
            yield server


class Soak:
    """Asks, kills, looks.

    Args:
        server: With the model.
        watch: Of its shared memory.
        seed: Of everything that is drawn.
    """

    def __init__(self, server: Server, watch: MemoryWatch, seed: int) -> None:
        self._server = server
        self._watch = watch
        self._random = random.Random(seed)
        self._requests = [draw_request(self._random) for _ in range(_DISTINCT)]
        self._outcomes: Counter[str] = Counter()
        self._unexpected: list[str] = []
        self._memory_bytes: list[int] = []
        self._kills = 0
        self._began_s = time.monotonic()

    async def run(self, n_requests: int, n_kills: int, n_clients: int, advance: Callable[[], object]) -> None:
        """Has the clients ask until all requests have been asked; kills processes evenly over them."""
        numbers = iter(range(n_requests))
        kill_at = {round((index + 1) * n_requests / (n_kills + 1)) for index in range(n_kills)}
        sample_at = {round(index * n_requests / 100) for index in range(100)}

        async def ask_on(client: Any) -> None:
            for number in numbers:
                if number in kill_at:
                    self._kill_one()
                if number in sample_at:
                    self._memory_bytes.append(anonymous_bytes(self._server.id))
                self._outcomes[await self._ask(client)] += 1
                advance()

        async with tritonclient.grpc.aio.InferenceServerClient(self._server.grpc_url) as client:
            await asyncio.gather(*(ask_on(client) for _ in range(n_clients)))

    def settle(self) -> list[Holdings]:
        """What is in the arenas once nothing is under way; cancelled requests take a moment to end."""
        for _ in range(100):
            holdings = look_into(self._watch.arenas())
            if not any(each.held_bytes or each.live_requests or each.claims for each in holdings):
                break
            time.sleep(0.1)
        return holdings

    def report(self, holdings: Sequence[Holdings]) -> Report:
        """Everything, after the server has stopped."""
        settled = self._memory_bytes[round(_SETTLED_AFTER * len(self._memory_bytes)) :]
        quarter = max(1, len(settled) // 4)
        return Report(
            outcomes=dict(sorted(self._outcomes.items())),
            kills=self._kills,
            unexpected=self._unexpected[:20],
            seconds=time.monotonic() - self._began_s,
            held_bytes=sum(each.held_bytes for each in holdings),
            live_requests=sum(each.live_requests for each in holdings),
            claims=sum(each.claims for each in holdings),
            peak_arena_bytes=self._watch.peak_arena_bytes,
            capacity_bytes=sum(each.capacity_bytes for each in holdings),
            memory_bytes=self._memory_bytes,
            growth=float(np.mean(settled[-quarter:]) / np.mean(settled[:quarter])),
            left=[str(path) for path in self._watch.left],
        )

    def _kill_one(self) -> None:
        workers = worker_pids(self._server.id)
        if workers:
            os.kill(self._random.choice(workers), signal.SIGKILL)
            self._kills += 1

    async def _ask(self, client: Any) -> str:
        request, fate = self._random.choice(self._requests), draw_fate(self._random)
        hurried, cancelled = fate.timeout_s is not None, fate.cancel_after_s is not None
        content = make_request(
            tritonclient.grpc.aio, request.inputs, [request.output], timeout_s=fate.timeout_s
        )
        call = asyncio.ensure_future(client.infer("soaked", **content))
        if cancelled:
            await asyncio.wait([call], timeout=fate.cancel_after_s)
            call.cancel()
        try:
            answer = (await call).as_numpy(request.output)
        except asyncio.CancelledError:
            return "cancelled"
        except InferenceServerException as error:
            return self._failure(str(error), hurried, cancelled)
        return "right" if np.array_equal(answer, request.answer) else "wrong"

    def _failure(self, text: str, hurried: bool, cancelled: bool) -> str:
        if cancelled and "CANCELLED" in text.upper():
            return "cancelled"
        if hurried and any(part in text for part in LATE):
            return "late"
        if _LOST in text:
            return "lost"
        self._unexpected.append(text)
        return "unexpected"


def _table(report: Report) -> Table:
    table = Table("", "", title=f"soak of {report.seconds:.0f} s", title_justify="left", show_header=False)
    for outcome, count in report.outcomes.items():
        table.add_row(f"requests {outcome}", str(count))
    for text in report.unexpected:
        table.add_row("unexpected", text)
    table.add_row("component processes killed", str(report.kills))
    table.add_row("peak of the arenas", f"{report.peak_arena_bytes / _MB:.0f} MB")
    table.add_row("their capacity in the end", f"{report.capacity_bytes / _MB:.0f} MB")
    table.add_row("held in the end", f"{report.held_bytes} bytes, {report.live_requests} requests")
    table.add_row("claims in the end", str(report.claims))
    table.add_row("files left after the stop", str(len(report.left)))
    ends = report.memory_bytes[0], report.memory_bytes[-1]
    table.add_row("memory, first and last", " and ".join(f"{nbytes / _MB:.0f} MB" for nbytes in ends))
    table.add_row("its growth once warm", f"{report.growth - 1:+.1%}")
    table.add_row("verdict", "good" if report.good else "bad", style="green" if report.good else "red")
    return table


if __name__ == "__main__":
    sys.exit(main())
