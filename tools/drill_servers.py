"""Drills three servers that work as one: the omni example over three nodes, servers killed, a link cut.

    python tools/drill_servers.py [--json FILE] [--logs DIR]

The planner splits the example over examples/omni/cluster-three.yaml; each server runs in a pod (see
tools/cluster), with links of the plan's rate, behind HAProxy. First the demo's nine requests are asked and
judged; their answers are what all others are compared with. Then follows load: undisturbed, with the bytes
between servers beside what the plan predicts; while a server that has a twin is killed and comes back; while
the only server of its role does; and while a link is cut and healed. Leaves with status 1 when an answer is
wrong, a request is lost that somebody could have answered, or anything is left.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from cluster import omni
from cluster.network import BACK
from cluster.omni import Known
from cluster.phases import Disturbance, Drill, Phase
from cluster.server import Member, PodServer
from cluster.servers import Cluster
from cluster.traffic import Flow, at_the_door, predicted
from cluster.waiting import READY_WITHIN_S, until
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from corntriton.planner.plan import Plan

_DEAD_FOR_S = _CUT_FOR_S = 8.0
_SEEN_WITHIN_S = 30.0
# From "all have seen it" to "whoever drew before that is done".
_GRACE_S = 3.0
_QUIET_S = 4.0
_UP = "corntriton_server_up"
_TWIN, _ONLY = "talk-1", "senses"


def main() -> int:
    """Drills and prints; 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--requests", type=int, default=40, help="in each phase, at least")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--loopback", action="store_true", help="without namespaces: nothing is cut")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keeps the logs of all servers")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that SIGTERM, too, ends everything
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    with tempfile.TemporaryDirectory() as folder:
        console.print("planning and building for three nodes")
        plan = omni.make(Path(folder))
        gbit_s = min(nodes.nic.gbit_s for nodes in plan.cluster.nodes.values())
        with Cluster(Path(folder) / "build", gbit_s, options.loopback, logs=options.logs) as cluster:
            console.print(f"{cluster.way}\nHAProxy at {cluster.front.http_url} and {cluster.front.grpc_url}")
            console.print(_placed(plan, cluster))
            report = Run(cluster, plan, console, options).run()
    report["left"] = cluster.left
    console.print("left after the stop:", ", ".join(f"{k}: {len(v)}" for k, v in cluster.left.items()))
    report["good"] = report["good"] and not any(cluster.left.values())
    console.print("[green]good[/]" if report["good"] else "[red]BAD[/]")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return int(not report["good"])


class Run:
    """All phases.

    Args:
        cluster: With the example.
        plan: Its plan.
        console: For what goes on.
        options: Of the command.
    """

    def __init__(self, cluster: Cluster, plan: Plan, console: Console, options: argparse.Namespace) -> None:
        self._cluster = cluster
        self._plan = plan
        self._console = console
        self._options = options
        self._back: dict[str, float] = {}

    def run(self) -> dict[str, Any]:
        """The report, but for what is left in the end."""
        exchanges = []
        for exchange in omni.converse(self._cluster.front, [_metrics_url(each) for each in self._members]):
            exchanges.append(exchange)
            mark = "right" if exchange.right else f"WRONG {exchange.verdicts}"
            self._console.print(
                f"  {exchange.request_type}, {exchange.way}: {exchange.total_s:.1f} s, {mark}"
            )
        known = [omni.known(exchange) for exchange in exchanges]
        phases = asyncio.run(self._phases(known))
        rows = _traffic(self._plan, phases[0], known, self._cluster.roles) if phases[0].flows else []
        self._console.print(_phase_table(phases))
        if rows:
            self._console.print(_traffic_table(rows, phases[0].seconds))
        for name, seconds in self._back.items():
            self._console.print(f"{name}: the others saw it again {seconds:.1f} s after it was ready")
        for text in [text for phase in phases for text in phase.unexplained]:
            self._console.print(f"unexplained: {text}", markup=False)
        return {
            "way": self._cluster.way,
            "seed": self._options.seed,
            "judged": [[each.request_type, each.way, each.right] for each in exchanges],
            "phases": [{**asdict(phase), "good": phase.good} for phase in phases],
            "traffic": rows,
            "seen_again_s": self._back,
            "good": all(each.right for each in exchanges) and all(phase.good for phase in phases),
        }

    @property
    def _members(self) -> list[Member]:
        return [*self._cluster.members.values()]

    async def _phases(self, known: Sequence[Known]) -> list[Phase]:
        shares = {name: traffic.share or 0 for name, traffic in self._plan.workload.request_types.items()}
        counts = Counter(each.request_type for each in known)
        mix = [(each, shares[f"omni/{each.request_type}"] / counts[each.request_type]) for each in known]
        drill = Drill(self._cluster, mix, self._only(), self._options.seed, self._options.clients)
        n = self._options.requests
        plans: list[tuple[str, int, Callable[[], Disturbance] | None]] = [
            ("undisturbed", n, None),
            (f"{_TWIN} killed, has a twin", n, partial(self._kill, drill, _TWIN)),
            (f"{_ONLY} killed, alone in its role", n, partial(self._kill, drill, _ONLY)),
        ]
        if self._cluster.network is not None:
            plans.append((f"link of {_TWIN} cut", n, partial(self._cut, drill, _TWIN)))
        phases = []
        for name, n_least, meanwhile in [*plans, ("undisturbed again", n // 2, None)]:
            phases.append(await drill.phase(name, n_least, meanwhile and meanwhile()))
            self._console.print(f"{name}: {phases[-1].outcomes}")
        return phases

    def _only(self) -> dict[str, set[str]]:
        """By request type, the servers that all its routes visit, and that have no twin."""
        roles = self._cluster.roles
        alone = {name for name, role in roles.items() if [*roles.values()].count(role) == 1}
        found = {}
        for demand in self._plan.demands:
            visits = [
                {stop.node for stop in route.stops.values()} for route in self._plan.routes_of(demand.name)
            ]
            found[demand.name.partition("/")[2]] = set.intersection(*visits) & alone
        return found

    async def _kill(self, drill: Drill, name: str) -> None:
        member = self._cluster.members[name]
        await asyncio.sleep(_QUIET_S)
        with drill.outages.of(name, "killed", _GRACE_S):
            await asyncio.to_thread(member.kill)
            self._console.print(f"  {name} killed")
            await asyncio.sleep(_DEAD_FOR_S)
            await asyncio.to_thread(self._cluster.start, name)
            await until(member.ready, READY_WITHIN_S)
            self._back[f"{name} killed"] = await until(lambda: self._is_seen(member), _SEEN_WITHIN_S)
            self._console.print(f"  {name} is back")
        await asyncio.sleep(_GRACE_S + _QUIET_S)

    async def _cut(self, drill: Drill, name: str) -> None:
        member, network = self._cluster.members[name], self._cluster.network
        assert network is not None
        assert isinstance(member, PodServer)
        await asyncio.sleep(_QUIET_S)
        with drill.outages.of(name, "cut", _GRACE_S):
            network.cut(member.pod, BACK)
            self._console.print(f"  {name} cut off from the others")
            await asyncio.sleep(_CUT_FOR_S)
            network.heal(member.pod, BACK)
            self._back[f"{name} cut"] = await until(lambda: self._is_seen(member), _SEEN_WITHIN_S)
            self._console.print(f"  {name} is linked again")
        await asyncio.sleep(_GRACE_S + _QUIET_S)

    def _is_seen(self, member: Member) -> bool:
        """Whether every other server says that it may be called, and it says so of all that it calls."""
        address = f"{member.peer_address}:{member.ports.grpc}"
        own = self._cluster.roles[member.name]
        return all(
            value == 1
            for each in self._members
            for sample, value in _ups(each)
            if each is member or (self._cluster.roles[each.name] != own and sample == address)
        )


def _ups(member: Member) -> list[tuple[str, float]]:
    """What a server says of others, by their address."""
    with urlopen(f"http://{_metrics_url(member)}/metrics", timeout=5) as page:
        families = text_string_to_metric_families(page.read().decode())
        return [
            (each.labels["address"], each.value)
            for family in families
            for each in family.samples
            if each.name == _UP
        ]


def _metrics_url(member: Member) -> str:
    return f"{member.address}:{member.ports.metrics}"


def _traffic(plan: Plan, phase: Phase, known: Sequence[Known], roles: Any) -> list[dict[str, Any]]:
    """Of each link and direction: bytes of the plan's edges, of inputs and answers, and measured."""
    counts = Counter(f"omni/{sort}" for sort, _ in phase.doors)
    edges = predicted(plan, counts)
    alike = {name: [other for other in roles if roles[other] == role] for name, role in roles.items()}
    by_type = {each.request_type: each for each in known}
    paths = omni.model().paths
    doors: dict[str, Flow] = defaultdict(Flow)
    for sort, entered in phase.doors:
        if entered in alike:
            sizes = omni.sizes(by_type[sort])
            for node, flow in at_the_door(plan, paths[sort], f"omni/{sort}", entered, sizes, alike).items():
                doors[node] += flow
    return [
        {
            "link": f"{name} {direction}",
            "plan_bytes": getattr(edges.get(name, Flow()), direction),
            "door_bytes": getattr(doors[name], direction),
            "measured_bytes": getattr(flow, direction),
        }
        for name, flow in phase.flows.items()
        for direction in ("out", "into")
    ]


def _placed(plan: Plan, cluster: Cluster) -> Table:
    table = Table("node", "role", "executors", box=None)
    for name, role in cluster.roles.items():
        here = [each.name for each in plan.executors if each.count_on(name)]
        table.add_row(name, role, ", ".join(here).replace("omni/", ""))
    return table


def _phase_table(phases: Sequence[Phase]) -> Table:
    table = Table("phase", "s", "requests", "median s", "outcomes", "held by servers in the end")
    for phase in phases:
        outcomes = [f"{count} {kind}" for kind, count in phase.outcomes.items()]
        held = sum(each.tensor_bytes for each in phase.held.values())
        requests = sum(each.requests for each in phase.held.values())
        claims = sum(each.claims for each in phase.held.values())
        table.add_row(
            phase.name,
            f"{phase.seconds:.0f}",
            str(len(phase.doors)),
            f"{phase.median_s:.1f}",
            f"{', '.join(outcomes)}; {phase.equal} to the last bit; {phase.refusals} refused by HAProxy",
            f"{held} bytes, {requests} requests, {claims} claims",
        )
    return table


def _traffic_table(rows: Sequence[dict[str, Any]], seconds: float) -> Table:
    table = Table("link", "plan", "with inputs and answers", "measured", "measured / the latter")
    for row in rows:
        whole = row["plan_bytes"] + row["door_bytes"]
        cells = [row["plan_bytes"], whole, row["measured_bytes"]]
        ratio = f"{row['measured_bytes'] / whole:.2f}" if whole > 1000 else ""
        table.add_row(row["link"], *(f"{each / seconds / 1e3:.1f} kB/s" for each in cells), ratio)
    return table


if __name__ == "__main__":
    sys.exit(main())
