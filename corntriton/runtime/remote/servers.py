"""All other servers by role: who of them is up, and which one a request draws."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Collection, Mapping, Sequence

from corntriton.runtime.failures import ServerLostError
from corntriton.runtime.metrics import Series
from corntriton.runtime.remote.addresses import VARIABLE, Endpoint, resolve
from corntriton.runtime.remote.server import Server
from corntriton.runtime.transfer.client import Peer

_RESOLVE_S = 5.0
UP = "corntriton_server_up"


class Servers:
    """The servers of the roles that an orchestrator's targets name. Made on the event loop.

    Args:
        roles: That targets name.
        endpoints: By role; of other roles too.
    """

    def __init__(self, roles: Collection[str], endpoints: Mapping[str, Sequence[Endpoint]]) -> None:
        self._endpoints = {role: endpoints.get(role, ()) for role in sorted(roles)}
        self._servers: dict[str, dict[str, Server]] = {role: {} for role in self._endpoints}
        self._tending: dict[Server, asyncio.Task[None]] = {}
        self._gone: dict[Series, float] = {}
        self._turns = itertools.count(1)
        self._lock = threading.Lock()
        self._resolving: asyncio.Task[None] | None = None

    @property
    def down(self) -> frozenset[str]:
        """The roles of which no server is up. From any thread."""
        return frozenset(role for role in self._endpoints if not any(s.up for s in self._of(role)))

    async def start(self) -> None:
        """Asks all once, and again from then on."""
        await self._resolve()
        await asyncio.gather(*(server.check() for server in self._all()))
        for server in self._all():
            self._tend(server)
        self._resolving = asyncio.ensure_future(self._resolve_again())

    async def close(self) -> None:
        """Asks no more."""
        tasks = [*self._tending.values(), *([self._resolving] if self._resolving else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(server.close() for server in self._all()))

    def draw(self, role: str) -> Server:
        """One that is up, of those with the fewest requests; to be put back. From any thread.

        Raises:
            ServerLostError: None is up.
        """
        with self._lock:
            up = [server for server in self._of(role) if server.up]
            if not up:
                raise ServerLostError(self.why_down(role))
            drawn = min(up, key=lambda server: (server.n_visits, server.turn))
            drawn.n_visits += 1
            drawn.turn = next(self._turns)
            return drawn

    def put_back(self, server: Server) -> None:
        """A request that has drawn it is over. From any thread."""
        with self._lock:
            server.n_visits -= 1

    def why_down(self, role: str) -> str:
        """For the client of a request that needs the role. From any thread."""
        if not self._endpoints[role]:
            return f"no server of the role {role} is known; To fix: set {VARIABLE}"
        servers = self._of(role)
        if not servers:
            hosts = ", ".join(sorted(endpoint.host for endpoint in self._endpoints[role]))
            return f"no server of the role {role} is up: nobody knows the address of {hosts}"
        reasons = "; ".join(f"{server.address}: {server.why_down}" for server in servers if not server.up)
        return f"no server of the role {role} is up: {reasons}"

    async def find(self, node: tuple[int, int]) -> Peer:
        """The server whose shared memory has that name: this is a `Finder` of transfer/puller.py.

        Raises:
            ServerLostError: None that is up has it.
        """
        for server in self._all():
            if server.node == node and server.up:
                return server.peer
        raise ServerLostError("the server that made a tensor was lost")

    def forget(self, peer: Peer) -> None:
        """A server was lost."""
        for server in self._all():
            if server.peer is peer:
                server.lose("it was lost while a tensor came from it")

    def gauges(self) -> Mapping[Series, float]:
        """For the metrics page. From any thread."""
        found = {_series(server): float(server.up) for server in self._all()}
        self._gone.update(dict.fromkeys(found, 0.0))
        return {**self._gone, **found}

    def _of(self, role: str) -> list[Server]:
        return [*self._servers[role].values()]

    def _all(self) -> list[Server]:
        return [server for role in self._endpoints for server in self._of(role)]

    def _tend(self, server: Server) -> None:
        self._tending[server] = asyncio.ensure_future(server.tend())

    async def _resolve_again(self) -> None:
        while True:
            await asyncio.sleep(_RESOLVE_S)
            known = {*self._all()}
            await self._resolve()
            for server in {*self._all()} - known:
                self._tend(server)

    async def _resolve(self) -> None:
        """Looks the names up. Who has no address any more is put away once it does not answer either."""
        for role, endpoints in self._endpoints.items():
            found = {address for each in await asyncio.gather(*map(resolve, endpoints)) for address in each}
            servers = self._servers[role]
            for address in sorted(found - servers.keys()):
                servers[address] = Server(role, address)
            for address in servers.keys() - found:
                if not servers[address].up:
                    await self._put_away(servers[address])

    async def _put_away(self, server: Server) -> None:
        del self._servers[server.role][server.address]
        if (task := self._tending.pop(server, None)) is not None:
            task.cancel()
        await server.client.close()


def _series(server: Server) -> Series:
    return UP, (("server", server.role), ("address", server.address))
