"""An orchestrator's leases on one server: those of its requests, and a few in advance.

A request would have to wait for a lease, and a call of the transfer model for each would cost as much as a
small component does. So leases are taken from what was lent before, and end together with others.
"""

from __future__ import annotations

import asyncio

from corntriton.runtime.failures import CallError
from corntriton.runtime.transfer.client import Peer

_LEAST_SPARE, _MOST_SPARE = 4, 64


class Leases:
    """On one server. For one event loop.

    Args:
        peer: Its transfer model.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._live: set[str] = set()
        self._spare: list[str] = []
        self._to_end: list[str] = []
        self._n_wanted = _LEAST_SPARE
        self._taken = False
        self._borrowing: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def any(self) -> bool:
        """Whether there are some."""
        return bool(self._live)

    def take(self) -> str | None:
        """One that was lent in advance, for a request; None if none is left."""
        self._taken = True
        if not self._spare:
            self._n_wanted = min(2 * self._n_wanted, _MOST_SPARE)
        if 2 * len(self._spare) <= self._n_wanted and self._borrowing is None:
            self._borrowing = asyncio.ensure_future(self._borrow())
        return self._spare.pop() if self._spare else None

    def keep(self, owner: str) -> None:
        """One more is to be renewed from now on."""
        self._live.add(owner)

    def release(self, owner: str) -> None:
        """One is to end."""
        if owner not in self._live:  # the server was lost meanwhile
            return
        self._live.discard(owner)
        self._to_end.append(owner)
        if self._ending is None or self._ending.done():
            self._ending = asyncio.ensure_future(self._end())

    def forget(self) -> None:
        """The server was lost, and all leases with it."""
        self._live.clear()
        self._spare.clear()
        self._to_end.clear()
        if self._borrowing is not None:
            self._borrowing.cancel()
            self._borrowing = None

    async def renew(self) -> None:
        """Keeps them; those in advance only while requests come.

        Raises:
            CallError: The server did not do so.
        """
        if not self._taken:
            spare, self._spare, self._n_wanted = self._spare, [], _LEAST_SPARE
            for owner in spare:
                self.release(owner)
        self._taken = False
        if self._live:
            await self._peer.renew([*self._live])

    async def close(self) -> None:
        """Ends all."""
        if self._borrowing is not None:
            await asyncio.wait({self._borrowing})
        self._to_end += self._live
        self._live.clear()
        await self._end()

    async def _borrow(self) -> None:
        try:
            lent = await self._peer.lend(self._n_wanted - len(self._spare))
        except CallError:  # whoever needs one asks for it
            self._borrowing = None
            return
        self._borrowing = None
        self._live.update(lent)
        self._spare += lent

    async def _end(self) -> None:
        """As long as there is something to end: one call for all that came during the last one."""
        while self._to_end:
            owners, self._to_end = self._to_end, []
            try:
                await self._peer.end(owners)
            except CallError:  # nobody renews them, so they end soon
                return
