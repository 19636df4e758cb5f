"""A drill's phases: load on a cluster while something happens to it, and what came of it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from cluster.asking import Asker, Way
from cluster.balancer import servers_asked
from cluster.holdings import Held, settled
from cluster.network import BACK, Counters, counters
from cluster.omni import Known, is_equal, is_right
from cluster.outages import Asked, Outages
from cluster.server import PodServer
from cluster.servers import Cluster
from cluster.traffic import Flow, measured

_WAYS: tuple[Way, ...] = ("http", "grpc", "grpc stream")
# What takes longer never ends; requests have a deadline of 60 s.
_LONGEST_S = 120.0
Disturbance = Coroutine[Any, Any, object]


@dataclass(frozen=True)
class Phase:
    """What came of one.

    Attributes:
        name: In words.
        seconds: It took.
        outcomes: How many requests had which.
        refusals: By the balancer, of streams; clients asked again.
        equal: Of those that are right, how many are equal to the known answer to the last bit.
        unexplained: Texts of wrong answers, and of failures that nothing explains.
        doors: Of each request, its type and the server that it was handed to.
        flows: What went between the servers, where they are in pods and none was killed.
        held: By each server, when all was answered.
        median_s: Of the time to a right answer.
    """

    name: str
    seconds: float
    outcomes: dict[str, int]
    refusals: int
    equal: int
    unexplained: list[str]
    doors: list[tuple[str, str]]
    flows: dict[str, Flow]
    held: dict[str, Held]
    median_s: float

    @property
    def good(self) -> bool:
        """Nothing wrong, nothing lost, nothing held."""
        bad = self.outcomes.get("wrong", 0) + self.outcomes.get("lost", 0)
        return not bad and all(each.nothing for each in self.held.values())


class Drill:
    """Runs phases.

    Args:
        cluster: With the example.
        known: Requests, each with its weight in the mix.
        only: By request type, the servers that it cannot do without.
        seed: Of the order of requests.
        n_clients: Each asks again when it has its answer.
    """

    def __init__(
        self,
        cluster: Cluster,
        known: Sequence[tuple[Known, float]],
        only: Mapping[str, set[str]],
        seed: int,
        n_clients: int,
    ) -> None:
        self._cluster = cluster
        self._known, self._weights = zip(*known, strict=True)
        self._only = only
        self._random = random.Random(seed)
        self._n_clients = n_clients
        self._n_equal = self._n_refusals = 0
        self.outages = Outages()

    async def phase(self, name: str, n_least: int, meanwhile: Disturbance | None = None) -> Phase:
        """Asks so many requests, and more until whatever happens meanwhile is over."""
        began_s, before = time.monotonic(), self._counters()
        self._n_equal = 0
        asked: list[Asked] = []
        numbers = iter(range(n_least))
        happening = asyncio.ensure_future(meanwhile or asyncio.sleep(0))

        async def ask_on(asker: Asker) -> None:
            while next(numbers, None) is not None or not happening.done():
                asked.append(await self._ask(asker))

        async with Asker(self._cluster.front) as asker:
            await asyncio.gather(*(ask_on(asker) for _ in range(self._n_clients)), happening)
            self._n_refusals = asker.refusals
        seconds = time.monotonic() - began_s
        flows = _flows(before, self._counters())
        held = await asyncio.to_thread(settled, [*self._cluster.members.values()])
        return self._judged(name, seconds, asked, flows, held)

    async def _ask(self, asker: Asker) -> Asked:
        known = self._random.choices(self._known, self._weights)[0]
        sent_s = time.monotonic()
        try:
            reply = await asyncio.wait_for(asker.ask(known.by(self._random.choice(_WAYS))), _LONGEST_S)
        except asyncio.TimeoutError:
            reply = asker.nothing("never answered")
        done_s = time.monotonic()
        if reply.error:
            return Asked(known.request_type, "failed", sent_s, done_s, reply)
        self._n_equal += is_equal(known, reply.outputs)
        verdict = "right" if is_right(known, reply.outputs) else "wrong"
        return Asked(known.request_type, verdict, sent_s, done_s, reply)

    def _judged(
        self, name: str, seconds: float, asked: list[Asked], flows: dict[str, Flow], held: dict[str, Held]
    ) -> Phase:
        entered = servers_asked(self._cluster.balancer_log())
        found = self.outages.account(asked, entered, self._only)
        bad = [*found.get("wrong", []), *found.get("lost", [])]
        return Phase(
            name,
            seconds,
            {kind: len(each) for kind, each in sorted(found.items())},
            self._n_refusals,
            self._n_equal,
            [f"{each.sort}, {entered.get(each.reply.name)}: {each.reply.error or 'wrong'}" for each in bad],
            [(each.sort, entered.get(each.reply.name, ("", ""))[0]) for each in asked],
            flows,
            held,
            median([each.done_s - each.sent_s for each in found.get("right", [])] or [0.0]),
        )

    def _counters(self) -> dict[str, tuple[int, Counters]]:
        """By server; a killed one begins anew, and has another process id."""
        servers = [each for each in self._cluster.members.values() if isinstance(each, PodServer)]
        return {each.name: (each.pod.pid, counters(each.pod, BACK)) for each in servers}


def _flows(
    before: Mapping[str, tuple[int, Counters]], after: Mapping[str, tuple[int, Counters]]
) -> dict[str, Flow]:
    if {name: pid for name, (pid, _) in before.items()} != {name: pid for name, (pid, _) in after.items()}:
        return {}
    return measured({name: each for name, (_, each) in before.items()}, {n: c for n, (_, c) in after.items()})
