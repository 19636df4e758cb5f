"""A cluster: all servers of a build for several nodes, and HAProxy before them, while a context lasts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from cluster import balancer
from cluster.network import BACK, FRONT, Network
from cluster.pod import Pod, why_no_pods
from cluster.server import LoopbackServer, Member, PodServer, all_ready
from cluster.waiting import await_ready
from corntriton.errors import CorntritonError
from corntriton.serving.deployment import MANIFEST, read_deployment
from corntriton.serving.ports import FREE_PORTS, choose_ports

_BALANCER_NUMBER = 200
_BALANCER_TIMEOUT_S = 20.0
_GRPC = "CORNTRITON_SERVERS"


@dataclass(frozen=True)
class Front:
    """Where clients ask: `host:port` of the balancer."""

    http_url: str
    grpc_url: str


class Cluster:
    """Starts everything when entered; ends everything when left, whatever happened.

    Args:
        build: What `corntriton build` wrote for a plan of several nodes.
        gbit_s: Of each server's link to the other servers; None for no limit.
        loopback: Without pods, though this machine has them.
        replicas: Serve a build for one server that often instead.
        logs: Where the logs go; else they go with the cluster.
    """

    def __init__(
        self,
        build: Path,
        gbit_s: float | None = None,
        loopback: bool = False,
        replicas: int = 0,
        logs: Path | None = None,
    ) -> None:
        self._build = build
        self._gbit_s = gbit_s
        self._why_loopback = "asked for" if loopback else why_no_pods()
        self._roles = {f"copy-{n}": "copy" for n in range(replicas)} if replicas else roles_of(build)
        self._builds = {name: build if replicas else build / name for name in self._roles}
        self._exit = ExitStack()
        self._left: dict[str, list[str]] = {}
        self.members: dict[str, Member] = {}
        self.network: Network | None = None
        self._logs = logs
        self.folder = Path()
        self.front = Front("", "")

    @property
    def way(self) -> str:
        """How the servers stand, in words."""
        if self._why_loopback:
            return f"on loopback, without namespaces ({self._why_loopback}): no links to limit, count or cut"
        rate = f"links of {self._gbit_s:g} Gbit/s by tbf" if self._gbit_s else "links without a limit"
        return f"in pods: own network, mount, PID, IPC and time namespaces, own /dev/shm; {rate}"

    @property
    def roles(self) -> Mapping[str, str]:
        """The role of each server."""
        return self._roles

    @property
    def left(self) -> dict[str, list[str]]:
        """After the end: what servers, and the machine, were left with."""
        interfaces = self.network.left() if self.network else []
        return {**self._left, "this machine": interfaces}

    def __enter__(self) -> Cluster:
        lacking = balancer.why_no_balancer()
        if lacking:
            raise CorntritonError(lacking)
        try:
            self.folder = self._logs or Path(
                self._exit.enter_context(tempfile.TemporaryDirectory(prefix="corntriton-"))
            )
            self.folder.mkdir(parents=True, exist_ok=True)
            for old in self.folder.glob("*.log"):
                old.unlink()
            if not self._why_loopback:
                limits = {BACK: self._gbit_s} if self._gbit_s else {}
                self.network = self._exit.enter_context(Network(limits))
            for number, (name, build) in enumerate(self._builds.items(), 1):
                self.members[name] = self._member(name, number, build)
                self._exit.callback(self._halt, name)
            with ThreadPoolExecutor(len(self.members)) as pool:
                list(pool.map(self.start, self.members))
            await_ready([*self.members.values()])
            self._balance()
        except BaseException:
            self._explain()
            self._abandon()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._exit.close()
        else:
            self._abandon()

    def start(self, name: str) -> None:
        """Starts a server, again perhaps."""
        self.members[name].start({_GRPC: self.addresses})

    @property
    def addresses(self) -> str:
        """What servers are told of each other."""
        found = defaultdict(list)
        for name, role in self._roles.items():
            member = self.members[name]
            found[role].append(f"{member.peer_address}:{member.ports.grpc}")
        return ",".join(f"{role}={';'.join(each)}" for role, each in found.items())

    def balancer_log(self) -> str:
        """All that HAProxy has logged."""
        return (self.folder / "haproxy.log").read_text(errors="replace")

    def _member(self, name: str, number: int, build: Path) -> Member:
        if self.network is None:
            return LoopbackServer(name, build)
        return PodServer(name, number, build, self.network, self.folder / f"{name}.log")

    def _balance(self) -> None:
        addresses = {
            name: (f"{each.address}:{each.ports.http}", f"{each.address}:{each.ports.grpc}")
            for name, each in self.members.items()
        }
        probes = read_deployment(next(iter(self._builds.values()))).probes
        paths = [f"/v2/models/{probe}/ready" for probe in probes]
        config, log = self.folder / "haproxy.cfg", self.folder / "haproxy.log"
        if self.network is None:
            ports = choose_ports(FREE_PORTS, "127.0.0.1")
            self.front = Front(f"127.0.0.1:{ports.http}", f"127.0.0.1:{ports.grpc}")
        else:
            host = self.network.address(FRONT, _BALANCER_NUMBER)
            self.front = Front(f"{host}:{balancer.HTTP_PORT}", f"{host}:{balancer.GRPC_PORT}")
        binds = (self.front.http_url, self.front.grpc_url)
        balancer.write_config(config, addresses, paths, binds)
        if self.network is None:
            with log.open("wb") as file:
                process = subprocess.Popen(balancer.command(config), stdout=file, stderr=file)
            self._exit.callback(process.wait)
            self._exit.callback(process.kill)
        else:
            pod = Pod("balancer", _BALANCER_NUMBER, balancer.command(config), log=log)
            self._exit.enter_context(pod)
            self.network.join(pod, (FRONT,))
            pod.run()
        give_up_s = time.monotonic() + _BALANCER_TIMEOUT_S
        while not all_ready(self.front.http_url, probes):
            if time.monotonic() > give_up_s:
                raise TimeoutError(f"haproxy is not ready after {_BALANCER_TIMEOUT_S:g} s")
            time.sleep(0.1)

    def _abandon(self) -> None:
        """Nobody will look at what servers leave behind: no reason to wait for them."""
        for member in self.members.values():
            member.kill()
        self._exit.close()

    def _halt(self, name: str) -> None:
        self._left[name] = self.members[name].halt()

    def _explain(self) -> None:
        """The ends of the logs, before they go."""
        for log in sorted(self.folder.glob("*.log")) if self.folder.name else ():
            lines = log.read_text(errors="replace").splitlines()[-15:]
            print(f"--- {log.name}", *lines, sep=os.linesep, file=sys.stderr)


def roles_of(build: Path) -> dict[str, str]:
    """The role of each node of a build for several."""
    manifest = json.loads((build / MANIFEST).read_text(encoding="utf-8"))
    nodes = manifest["nodes"]
    first = min(nodes)  # after which the only role is named
    return {node: about["role"] or first for node, about in nodes.items()}
