"""Servers of a cluster, in a pod each, or side by side on loopback: asked, killed, and looked into."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from urllib.error import URLError
from urllib.request import urlopen

from cluster.network import BACK, FRONT, Network
from cluster.pod import Pod
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.ports import FREE_PORTS, Ports, choose_ports
from corntriton.serving.server import Server
from corntriton.serving.traces import processes_of, traces_of

_HALT_TIMEOUT_S = 60.0
_LOOPBACK = "127.0.0.1"
_TRITONSERVER = "bin/tritonserver"


class Member(Protocol):
    """A server of a cluster.

    Attributes:
        name: Of its node in the plan.
        ports: Where it listens.
    """

    name: str
    ports: Ports

    @property
    def address(self) -> str:
        """Its host, for clients."""

    @property
    def peer_address(self) -> str:
        """Its host, for other servers."""

    @property
    def shm(self) -> Path:
        """Where its arenas lie, as seen from here."""

    @property
    def root(self) -> Path:
        """The file system in which its processes are known by their own ids."""

    def start(self, environment: Mapping[str, str]) -> None:
        """Starts it; `ready` says when it may be asked."""

    def ready(self) -> bool:
        """Whether it and all that its orchestrators call may be asked."""

    def kill(self) -> None:
        """Ends it at once."""

    def halt(self) -> list[str]:
        """Stops it as it should be; what it then has left behind."""

    def processes(self) -> dict[int, str]:
        """Command lines by process id, as seen from here."""


class PodServer:
    """A server in a pod of its own, started as in a container.

    Args:
        name: Of its node in the plan.
        number: From 1 on; its addresses follow from it.
        build: What it serves.
        network: Joined to it.
        log: Takes its log.
    """

    ports = Ports()

    def __init__(self, name: str, number: int, build: Path, network: Network, log: Path) -> None:
        self.name = name
        self._number = number
        self._build = build
        self._network = network
        self._log = log
        self._probes = read_deployment(build).probes
        self.pod = Pod(name, number)

    @property
    def address(self) -> str:
        """See Member."""
        return self._network.address(FRONT, self._number)

    @property
    def peer_address(self) -> str:
        """See Member."""
        return self._network.address(BACK, self._number)

    @property
    def shm(self) -> Path:
        """See Member."""
        return self.pod.shm

    @property
    def root(self) -> Path:
        """See Member."""
        return self.pod.root

    def start(self, environment: Mapping[str, str]) -> None:
        """See Member."""
        words = [str(Path(sys.executable).with_name("corntriton")), "serve", str(self._build), "-v"]
        self.pod = Pod(
            self.name,
            self._number,
            [*words, "--host", "0.0.0.0"],
            {**environment, "COLUMNS": "400"},
            self._log,
        )
        self.pod.start()
        self._network.join(self.pod)
        self.pod.run()

    def ready(self) -> bool:
        """See Member."""
        return all_ready(f"{self.address}:{self.ports.http}", self._probes)

    def kill(self) -> None:
        """See Member."""
        self.pod.kill()

    def halt(self) -> list[str]:
        """See Member."""
        if not self.pod.alive:
            return []
        ended = self.pod.halt(_HALT_TIMEOUT_S)
        left = [] if ended else [f"{pid} {line}" for pid, line in self.pod.processes().items()]
        left += sorted(os.listdir(self.pod.shm))
        self.pod.kill()
        return left

    def processes(self) -> dict[int, str]:
        """See Member."""
        return self.pod.processes()


class LoopbackServer:
    """A server on ports of its own, with a folder of its own for arenas.

    Args:
        name: Of its node in the plan.
        build: What it serves.
    """

    address = peer_address = _LOOPBACK
    root = Path("/")

    def __init__(self, name: str, build: Path) -> None:
        self.name = name
        self.ports = choose_ports(FREE_PORTS, _LOOPBACK)
        self._deployment = read_deployment(build)
        self._server: Server | None = None

    @property
    def shm(self) -> Path:
        """See Member."""
        return Path("/dev/shm", f"{self._server.id}-tensors" if self._server else "")

    def start(self, environment: Mapping[str, str]) -> None:
        """See Member."""
        launcher = find_launcher()
        launcher = replace(launcher, environment={**launcher.environment, **environment})
        self._server = Server(
            self._deployment, launcher, ports=self.ports, exit_timeout_s=10, own_memory=True
        )
        self._server.spawn()

    def ready(self) -> bool:
        """See Member."""
        return all_ready(f"{_LOOPBACK}:{self.ports.http}", self._deployment.probes)

    def kill(self) -> None:
        """See Member."""
        if self._server is not None:
            for pid, line in self.processes().items():
                if line.split(" ")[0].endswith(_TRITONSERVER):
                    os.kill(pid, signal.SIGKILL)
            self._server.stop()

    def halt(self) -> list[str]:
        """See Member."""
        if self._server is None:
            return []
        self._server.stop()
        return traces_of(self._server.id)

    def processes(self) -> dict[int, str]:
        """See Member."""
        found = {}
        for pid in processes_of(self._server.id) if self._server else ():
            with contextlib.suppress(OSError):  # it may end while we look
                found[pid] = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
        return found


def all_ready(http_url: str, probes: tuple[str, ...]) -> bool:
    """Whether a server answers, and all its probes are ready."""
    paths = ["/v2/health/ready", *(f"/v2/models/{probe}/ready" for probe in probes)]
    try:
        for path in paths:
            with urlopen(f"http://{http_url}{path}", timeout=2):
                pass
    except (URLError, OSError):
        return False
    return True
