"""A plan on the real server, with stand-ins: rates in, what became of the requests out.

The requests are the simulator's: the same seed gives the same arrivals, types and works, so that what differs
between the two is not chance.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path as File
from types import TracebackType

import numpy as np

from corntriton.errors import CorntritonError
from corntriton.load.arrivals import Arrival
from corntriton.load.generator import Exchange, Load, send
from corntriton.load.request import Request, encode
from corntriton.planner.arrivals import Arrival as Coming
from corntriton.planner.arrivals import arrivals
from corntriton.planner.plan import Plan
from corntriton.planner.scenario import scenario
from corntriton.rehearsal.cpu import Cpu
from corntriton.rehearsal.models import KIND, Models, answering, list_of
from corntriton.rehearsal.roles import write_roles
from corntriton.rehearsal.seen import Seen, Sent, depth, see
from corntriton.rehearsal.standin.journal import Row, read_rows
from corntriton.repository.build import build
from corntriton.serving.deployment import read_nodes
from corntriton.serving.fleet import Fleet
from corntriton.serving.launch import Launcher
from corntriton.spec.load import load_models

_EXIT_S = 5.0
_PATIENCE_S = 600.0  # for an answer; beyond it the plan is hopelessly overloaded
_LONE, _APART_REAL_S = 6, 0.1  # requests that nobody is beside; of these, the first half is to warm up


class Stage:
    """The servers of one plan, started when entered; those of several nodes are wired to each other.

    Args:
        plan: The plan.
        folder: Empty; takes everything that is written.
        launcher: The server.
        slower: Real seconds for each second of the plan.
        seed: Of the stand-ins' variation.
    """

    def __init__(self, plan: Plan, folder: File, launcher: Launcher, slower: float, seed: int = 0) -> None:
        self.plan = plan
        self.slower = slower
        self._models = Models(plan, slower)
        self._journal = folder / "journal"
        self._journal.mkdir(parents=True)
        written = load_models(self._models.write(folder / "models"))
        build(written, folder / "build", plan=plan)
        deployments = read_nodes(folder / "build")
        for node in deployments:
            write_roles(plan, folder / "build" / node, slower, seed, self._journal)
        self._fleet = Fleet(deployments, launcher, exit_timeout_s=_EXIT_S, streams_by_grpc=True)
        layout = scenario(plan, seed)
        self._ways, self._sites = layout.ways, layout.sites
        self._delay_real_s = 0.0
        self._numbers = 0

    def __enter__(self) -> Stage:
        self._fleet.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._fleet.stop()

    def play(
        self,
        multiple: float,
        seed: int,
        requests: int,
        warm_up: float,
        on_sent: Callable[[Arrival], object] = lambda arrival: None,
    ) -> Seen:
        """Sends the requests of a simulation.

        Args:
            multiple: Times the workload's rate.
            seed: Of the requests.
            requests: How many; all are seen through.
            warm_up: Share of them, from the first on, that does not count.
            on_sent: Called with each request that was sent.

        Raises:
            CorntritonError: A request failed.
        """
        coming = arrivals(self.plan, self._ways, seed, requests, multiple)
        return self._see(coming, warm_up, on_sent)

    def find_delay(self) -> float:
        """Real seconds that this machine adds to each step of a request; taken off all times from now on.

        Requests of the quickest type are sent one after the other: what they take beyond their stand-ins is
        client, orchestrator, server, hosts and threads.
        """
        alone_s = [self.plan.predicted[demand.name].unloaded_s for demand in self.plan.demands]
        number = int(np.argmin(alone_s))
        demand = self.plan.demands[number]
        works = tuple(invocation.work.mean for invocation in demand.invocations)
        apart_s = alone_s[number] + _APART_REAL_S / self.slower
        coming = [Coming(turn * apart_s, number, self._ways[number][0], works) for turn in range(_LONE)]
        seen = self._see(coming, 0.5, lambda arrival: None)
        self._delay_real_s = seen.overhead_real_s / depth(demand)
        return self._delay_real_s

    def _see(self, coming: Sequence[Coming], warm_up: float, on_sent: Callable[[Arrival], object]) -> Seen:
        first = self._numbers
        self._numbers += len(coming)
        before = Cpu.now()
        sent = asyncio.run(self._send(coming, first, on_sent))
        cpu = Cpu.now().since(before)
        self._refuse_failures(sent)
        rows = {name: self._of_play(each, first) for name, each in read_rows(self._journal).items()}
        return see(
            self.plan,
            coming,
            sent,
            rows,
            self.slower,
            first,
            int(len(coming) * warm_up),
            cpu,
            self._delay_real_s,
        )

    def _of_play(self, rows: Sequence[Row], first: int) -> list[Row]:
        return [row for row in rows if row.request >= first]

    async def _send(
        self, coming: Sequence[Coming], first: int, on_sent: Callable[[Arrival], object]
    ) -> list[Sent]:
        """All requests, in their order; each goes to the node where its route begins."""
        sent_s: dict[int, float] = {}

        def request_of(arrival: Arrival) -> Request:
            sent_s[arrival.number] = time.monotonic()
            return self._request(coming[arrival.number], first + arrival.number)

        by_node: dict[str, list[Arrival]] = {node: [] for node in self._fleet.servers}
        for number, one in enumerate(coming):
            arrival = Arrival(one.at_s * self.slower, self.plan.demands[one.demand].name, number)
            by_node[self._node_of(one)].append(arrival)
        duration_s = coming[-1].at_s * self.slower
        loads: list[Load] = await asyncio.gather(
            *(
                send(self._fleet.servers[node].grpc_url, due, request_of, duration_s, _PATIENCE_S, on_sent)
                for node, due in by_node.items()
            )
        )
        exchanges: list[Exchange] = [each for load in loads for each in load.exchanges]
        exchanges.sort(key=lambda each: each.arrival.number)
        return [Sent(each, sent_s[each.arrival.number]) for each in exchanges]

    def _node_of(self, one: Coming) -> str:
        """Where its route begins; the only node has no name."""
        node = self._sites[one.way.steps[0].site].node
        return node if node in self._fleet.servers else ""

    def _request(self, one: Coming, number: int) -> Request:
        demand = self.plan.demands[one.demand]
        inputs = {"ticket": np.array(self._models.ticket(number, one.demand, one.works))}
        for invocation in demand.invocations:
            if invocation.elements > 1:
                inputs[list_of(invocation)] = np.arange(invocation.elements, dtype=np.int32)[:, None]
        streams = any(target.of != "completion" for target in demand.targets)
        outputs = [f"said_{number}" for number in range(len(answering(demand)))]
        kind = demand.name.partition("/")[2]
        endpoint = f"{demand.model}_stream" if streams else demand.model
        return encode(endpoint, inputs, outputs, {KIND: kind}, streams)

    def _refuse_failures(self, sent: Sequence[Sent]) -> None:
        failed = [each.exchange.error for each in sent if each.exchange.error]
        if failed:
            raise CorntritonError(f"{len(failed)} of {len(sent)} rehearsed requests failed: {failed[0]}")
