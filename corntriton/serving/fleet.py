"""The servers of a build on this machine, one or one for each of its nodes; used as Server is.

Several are wired to each other, and each has shared memory of its own, so that tensors cross from one to
another as they do between machines.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from urllib.request import urlopen

from corntriton.runtime.remote.addresses import VARIABLE
from corntriton.serving.deployment import Deployment
from corntriton.serving.launch import Launcher
from corntriton.serving.lifetime import Lifetime, ServerError
from corntriton.serving.logs import LogLine
from corntriton.serving.ports import FREE_PORTS, Ports, choose_ports
from corntriton.serving.server import Server

# From the ports of one node to those of the next, where they are not any free ones.
_PORT_STRIDE = 10
_POLL_S = 0.2
# From when all are ready until they have found each other; it takes a second or two.
_MEETING_S = 20.0
_UP = "corntriton_server_up"


class Fleet(Lifetime):
    """The servers of several nodes.

    Attributes:
        servers: By node; set by start.
    """

    def __init__(
        self,
        deployments: Mapping[str, Deployment],
        launcher: Launcher,
        *,
        environment: Mapping[str, str] = MappingProxyType({}),
        ports: Ports = FREE_PORTS,
        host: str = "127.0.0.1",
        ready_timeout_s: float = 600.0,
        exit_timeout_s: float = 30.0,
        streams_by_grpc: bool = False,
        on_line: Callable[[str, LogLine], None] = lambda node, line: None,
        on_loaded: Callable[[str], None] = lambda model: None,
    ) -> None:
        """Nothing is started yet; see Server for what is not said here.

        Args:
            deployments: By node; of a build for one, it may have no name.
            launcher: What to start.
            environment: Of the only one: where others are, on other machines.
            ports: Where the first node listens; those of each further one are greater by 10; 0 for any free.
            host: The address to listen at.
            ready_timeout_s: How long the models may take to load.
            exit_timeout_s: How long requests under way may go on after stop.
            streams_by_grpc: See Server.
            on_line: Called with the node and each line of its log.
            on_loaded: Called with the name of each model that has been loaded anywhere.
        """
        self.servers: Mapping[str, Server] = {}
        self._deployments = deployments
        self._launcher = launcher
        self._environment = environment
        self._ports = ports
        self.any_free = ports.any_free
        self._host = host
        self._timeouts_s = {"ready_timeout_s": ready_timeout_s, "exit_timeout_s": exit_timeout_s}
        self._streams_by_grpc = streams_by_grpc
        self._on_line = on_line
        self.on_loaded = on_loaded

    def wait(self) -> None:
        """Blocks as long as all servers run.

        Raises:
            ServerError: One ended though nobody called stop.
        """
        while all(server.running for server in self.servers.values()):
            time.sleep(_POLL_S)
        for node, server in self.servers.items():
            if not server.running:
                with _named(node):
                    server.wait()

    def stop(self) -> None:
        """Ends all servers; returns when everything of them is gone."""
        for server in self.servers.values():
            server.begin_stop()
        for server in self.servers.values():
            server.stop()

    def _start(self) -> None:
        ports = self._choose_ports()
        launcher = replace(self._launcher, environment={**self._launcher.environment, **self._peers(ports)})
        self.servers = {
            node: Server(
                deployment,
                launcher,
                ports=ports[node],
                host=self._host,
                own_memory=self._several,
                streams_by_grpc=self._streams_by_grpc,
                on_line=partial(self._on_line, node),
                on_loaded=lambda model: self.on_loaded(model),
                **self._timeouts_s,
            )
            for node, deployment in self._deployments.items()
        }
        for server in self.servers.values():
            server.spawn()
        for node, server in self.servers.items():
            with _named(node):
                server.wait_until_ready()
        self._wait_until_met()

    def _wait_until_met(self) -> None:
        """Each asks the others once a second; who was ready first has found nobody yet."""
        give_up_s = time.monotonic() + _MEETING_S
        while self._several and time.monotonic() < give_up_s and not all(map(self._has_met, self.servers)):
            time.sleep(_POLL_S)

    def _has_met(self, node: str) -> bool:
        """Whether a server says that it can call all others that it may have to."""
        if not self._deployments[node].calls:
            return True
        with contextlib.suppress(OSError):
            with urlopen(f"http://{self.servers[node].metrics_url}/metrics", timeout=_MEETING_S) as page:
                lines = page.read().decode().splitlines()
            up = [line.rpartition(" ")[2] for line in lines if line.startswith(f"{_UP}{{")]
            return bool(up) and all(float(each) for each in up)
        return False

    def _peers(self, ports: Mapping[str, Ports]) -> Mapping[str, str]:
        if not self._several:
            return self._environment
        found: dict[str, list[str]] = {}
        for node, deployment in self._deployments.items():
            found.setdefault(deployment.role, []).append(f"{self._reached_at}:{ports[node].grpc}")
        text = ",".join(f"{role}={';'.join(addresses)}" for role, addresses in found.items() if role)
        return {VARIABLE: text}

    @property
    def _several(self) -> bool:
        return len(self._deployments) > 1

    def _choose_ports(self) -> dict[str, Ports]:
        """They have to be known before any server starts, as each is told of all."""
        chosen: dict[str, Ports] = {}
        for number, node in enumerate(self._deployments):
            taken = {port for ports in chosen.values() for port in (ports.http, ports.grpc, ports.metrics)}
            chosen[node] = choose_ports(self._ports.shifted(number * _PORT_STRIDE), self._host, taken)
        return chosen

    @property
    def _reached_at(self) -> str:
        return "127.0.0.1" if self._host == "0.0.0.0" else self._host


@contextlib.contextmanager
def _named(node: str) -> Iterator[None]:
    """Says of which node an error is."""
    try:
        yield
    except ServerError as error:
        if not node:
            raise
        raise type(error)(f"{node}: {error}") from error
