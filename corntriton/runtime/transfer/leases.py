"""Leases: what this server holds for requests of other servers, each as long as their orchestrator renews it.

A lease is a request that this process owns, with all that follows: its credential goes with the calls of
components here, what is pulled for it lies in the arena under its tag, components keep their outputs for it.
But whom it serves is on another machine, which can go away in silence: hence the one life that ends by time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from corntriton.runtime.shm.credential import verify
from corntriton.runtime.shm.errors import InvalidOwnerError
from corntriton.runtime.shm.layout import Tag
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.owner import OwnedRequest
from corntriton.runtime.transfer.puller import Puller


class Lease:
    """One request of another server.

    Attributes:
        owned: It as this process's.
        due_s: On the monotonic clock: when it ends if nobody renews it.
    """

    def __init__(self, owned: OwnedRequest, puller: Puller, due_s: float) -> None:
        self.owned = owned
        self.due_s = due_s
        self._puller = puller
        self._n_under_way = 0
        self._pulls: dict[bytes, asyncio.Future[bytes]] = {}

    @property
    def is_used(self) -> bool:
        """Somebody waits for something to be brought, and so need not say that he is still there."""
        return self._n_under_way > 0

    @contextmanager
    def use(self) -> Iterator[None]:
        """While things are brought."""
        self._n_under_way += 1
        try:
            yield
        finally:
            self._n_under_way -= 1

    async def bring(self, packed: bytes, deadline_ns: int) -> bytes:
        """See Puller.pull; each ref once, however often it is asked for."""
        pull = self._pulls.get(packed)
        if pull is None:
            pull = asyncio.ensure_future(self._puller.pull(packed, self.owned.tag, deadline_ns))
            pull.add_done_callback(lambda done: self._forget_failed(packed, done))
            self._pulls[packed] = pull
        try:
            return await asyncio.shield(pull)
        except asyncio.CancelledError:
            if pull.cancelled():
                raise InvalidOwnerError("the owner parameter names a lease that has ended") from None
            raise

    def end(self) -> None:
        """What is under way for it stops; what was brought for it goes."""
        for pull in [*self._pulls.values()]:
            pull.cancel()
        self.owned.end()

    def _forget_failed(self, packed: bytes, pull: asyncio.Future[bytes]) -> None:
        if pull.cancelled() or pull.exception() is not None:
            del self._pulls[packed]


class Leases:
    """All of this process's. For one event loop.

    Args:
        memory: This process's.
        puller: Into it.
        lease_s: How long each lives without being renewed.
    """

    def __init__(self, memory: SharedMemory, puller: Puller, lease_s: float) -> None:
        self._memory = memory
        self._puller = puller
        self._lease_s = lease_s
        self._leases: dict[Tag, Lease] = {}

    def __len__(self) -> int:
        return len(self._leases)

    def open(self) -> Lease:
        """A new one.

        Raises:
            ArenaFullError: There are as many as there may be.
        """
        owned = self._memory.owner.enter()
        lease = self._leases[owned.tag] = Lease(owned, self._puller, time.monotonic() + self._lease_s)
        return lease

    def lend(self, count: int) -> list[Lease]:
        """So many new ones in advance, or fewer: half of all that there may be are for who needs one now."""
        owner = self._memory.owner
        return [self.open() for _ in range(min(count, max(0, (owner.n_free - owner.n_held) // 2)))]

    def get(self, owner: str) -> Lease:
        """The one with this credential, renewed.

        Raises:
            InvalidOwnerError: There is none, or it has ended.
        """
        lease = self._leases.get(verify(owner, self._memory.regions))
        if lease is None:
            raise InvalidOwnerError("the owner parameter names no lease of this server")
        lease.due_s = time.monotonic() + self._lease_s
        return lease

    def renew(self, owners: Iterable[str]) -> None:
        """Keeps those that there are."""
        for owner in owners:
            self._found(owner)

    def end(self, owners: Iterable[str]) -> None:
        """Ends those that there are."""
        for owner in owners:
            lease = self._found(owner)
            if lease is not None:
                self._end(lease)

    def drop(self, lease: Lease) -> None:
        """Ends one that nobody has been told of."""
        self._end(lease)

    def expire(self) -> None:
        """Ends those whose time is up."""
        now_s = time.monotonic()
        for lease in [*self._leases.values()]:
            if lease.is_used:
                lease.due_s = now_s + self._lease_s
            elif lease.due_s <= now_s:
                self._end(lease)

    def close(self) -> None:
        """Ends all."""
        for lease in [*self._leases.values()]:
            self._end(lease)

    def _found(self, owner: str) -> Lease | None:
        try:
            return self.get(owner)
        except InvalidOwnerError:
            return None

    def _end(self, lease: Lease) -> None:
        if self._leases.pop(lease.owned.tag, None) is not None:
            lease.end()
