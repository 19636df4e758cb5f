"""Which server has a node's memory: the node that a ref names goes in, the server to read from comes out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from corntriton.runtime.failures import CallError
from corntriton.runtime.remote.addresses import VARIABLE, Endpoint, resolve
from corntriton.runtime.transfer.client import Peer
from corntriton.runtime.transfer.faults import lost

Node = tuple[int, int]
# All servers are asked no more often: whoever makes up refs must not have them asked all the time.
_QUIET_S = 1.0


class Nodes:
    """The servers that tensors may be pulled from: those of CORNTRITON_SERVERS, and no others.

    For one event loop.

    Args:
        endpoints: Of all roles.
    """

    def __init__(self, endpoints: Mapping[str, Sequence[Endpoint]]) -> None:
        self._endpoints = dict.fromkeys(one for some in endpoints.values() for one in some)
        self._clients: dict[str, Any] = {}
        self._peers: dict[Node, Peer] = {}
        self._asked_at_s = -_QUIET_S
        self._asking = asyncio.Lock()

    async def find(self, node: Node) -> Peer:
        """The server.

        Raises:
            ServerLostError: None of those that answer has that node.
        """
        if node not in self._peers:
            come_s = time.monotonic()
            async with self._asking:
                if node not in self._peers and self._asked_at_s < come_s:
                    await asyncio.sleep(self._asked_at_s + _QUIET_S - time.monotonic())
                    self._asked_at_s = time.monotonic()
                    await self._ask_all()
        peer = self._peers.get(node)
        if peer is None:
            raise lost("the server of a tensor", f"no server of {VARIABLE} that answers has it")
        return peer

    def forget(self, peer: Peer) -> None:
        """A server was lost: what is at its address next may be another one."""
        self._peers = {node: one for node, one in self._peers.items() if one is not peer}

    async def close(self) -> None:
        """Closes all connections."""
        clients, self._clients, self._peers = self._clients, {}, {}
        for client in clients.values():
            await client.close()

    async def _ask_all(self) -> None:
        found = await asyncio.gather(*map(resolve, self._endpoints))
        addresses = {address for some in found for address in some}
        self._peers = {node: peer for node, peer in self._peers.items() if peer.address in addresses}
        for gone in self._clients.keys() - addresses:
            await self._clients.pop(gone).close()
        await asyncio.gather(*map(self._ask, addresses))

    async def _ask(self, address: str) -> None:
        from tritonclient.grpc.aio import InferenceServerClient

        if address not in self._clients:
            self._clients[address] = InferenceServerClient(address)
        peer = Peer(address, self._clients[address])
        try:
            who = await peer.who()
        except CallError:
            return  # it is down; it is asked again with the next node that nobody has
        if who.node not in self._peers:
            self._peers[who.node] = peer
