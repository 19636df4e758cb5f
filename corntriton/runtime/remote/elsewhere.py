"""All that an orchestrator needs for targets on other servers, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from corntriton.runtime.exchange import Exchange
from corntriton.runtime.metrics import Meter, Series
from corntriton.runtime.remote.addresses import Endpoints, endpoints_from_environment
from corntriton.runtime.remote.loop import LoopThread
from corntriton.runtime.remote.pulled import Pulled, Sources
from corntriton.runtime.remote.servers import Servers
from corntriton.runtime.remote.visit import Visit
from corntriton.runtime.remote.way import RemoteWay
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.owner import OwnedRequest


class Elsewhere:
    """The other servers of a plan, as one orchestrator sees them.

    Attributes:
        servers: By role.
        way: To call their models.

    Args:
        roles: That its targets name.
        exchange: For its targets.
        memory: Its process's.
        meter: Told of what was pulled.
    """

    def __init__(
        self, roles: Collection[str], exchange: Exchange, memory: SharedMemory, meter: Meter
    ) -> None:
        """Asks them once how they are.

        Raises:
            AddressesError: The environment does not say in the right form where they are.
        """
        endpoints = endpoints_from_environment()
        self._memory = memory
        self._loop = LoopThread("corntriton-remote")
        self.servers, self._sources = self._loop.run(self._start(roles, endpoints, meter))
        self.way = RemoteWay(exchange)

    def visit(self, owned: OwnedRequest, deadline_ns: int) -> Visit:
        """For a request, or one attempt at it."""
        return Visit(self.servers, self._loop, self._memory.regions.node, owned.text, deadline_ns)

    def pulled(self, owned: OwnedRequest, deadline_ns: int) -> Pulled:
        """For the readers here of what a request's components elsewhere have made."""
        return Pulled(self._sources, self._loop, owned.tag, deadline_ns)

    def check(self, visit: Visit) -> None:
        """Asks the servers that a request has drawn how they are, now."""
        self._loop.run(self._check(visit))

    def gauges(self) -> Mapping[Series, float]:
        """For the metrics page."""
        return self.servers.gauges()

    def close(self) -> None:
        """Ends all leases and connections."""
        self._loop.run(self.servers.close())
        self._loop.close()

    async def _start(
        self, roles: Collection[str], endpoints: Endpoints, meter: Meter
    ) -> tuple[Servers, Sources]:
        servers = Servers(roles, endpoints)
        await servers.start()
        return servers, Sources(self._memory, servers, meter.pulled)

    async def _check(self, visit: Visit) -> None:
        await asyncio.gather(*(server.check() for server in visit.servers))
