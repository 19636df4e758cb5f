"""One other server: whether it is up, and what this orchestrator has there.

It is asked every second whether it and its transfer model are ready. It is lost when it cannot be reached:
then calls under way end, and what it has made counts as gone, though another one may answer there later.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from corntriton.runtime.failures import CallError, ServerLostError
from corntriton.runtime.remote.leases import Leases
from corntriton.runtime.transfer.client import Peer, Who

_PERIOD_S = 1.0
_ANSWER_S = 3.0
# A busy one may be late once.
_MOST_SILENCES = 2
# Often within the life of a lease that nobody renews, see TransferSettings.
_RENEW_S = 3.0
_CLOSE_S = 2.0
_ANY_SIZE = -1
CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", _ANY_SIZE),
    ("grpc.max_receive_message_length", _ANY_SIZE),
    # A server that is back should not wait for its callers, of which there are few.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class Server:
    """One address. For one event loop, but for what says otherwise.

    Attributes:
        role: What it serves.
        address: `ip:port`.
        client: Calls its models.
        peer: Its transfer model.
        leases: On it.
        up: It may be given requests; from any thread.
        why_down: For people, while it is not up; from any thread.
        node: Where its shared memory lies; None until it was up.
        losses: How often it was lost; from any thread.
        why_lost: The last time, for people; from any thread.
        n_visits: Requests that have drawn it and are not over; the business of who draws.
        turn: Who was drawn before has a lower one; the same.
    """

    def __init__(self, role: str, address: str) -> None:
        self.role = role
        self.address = address
        self.client: Any = InferenceServerClient(address, channel_args=[*CHANNEL_OPTIONS])
        self.peer = Peer(address, self.client)
        self.leases = Leases(self.peer)
        self.up = False
        self.why_down = "it has not been asked yet"
        self.node: tuple[int, int] | None = None
        self.losses, self.why_lost = 0, ""
        self.n_visits, self.turn = 0, 0
        self._n_silences = 0
        self._calls: set[asyncio.Task[Any]] = set()

    async def tend(self) -> None:
        """Asks how it is, and renews leases, until cancelled."""
        await asyncio.gather(self._check_again(), self._renew_again())

    async def check(self) -> None:
        """Asks how it is, now."""
        try:
            is_ready, who = await asyncio.wait_for(self._ask(), _ANSWER_S)
        except asyncio.TimeoutError:
            self._n_silences += 1
            if self._n_silences >= _MOST_SILENCES:
                self.lose("it does not answer")
        except InferenceServerException as error:
            self.lose(error.message())
        except ServerLostError as error:
            self.lose(str(error))
        except CallError as error:
            self.up, self.why_down = False, str(error)
        else:
            if self.node not in (None, who.node):  # another one answers at its address
                self.lose("it was replaced")
            self._n_silences = 0
            self.node, self.up, self.why_down = who.node, is_ready, "" if is_ready else "it is not ready"

    def lose(self, why: str) -> None:
        """It cannot be reached: what it has for this orchestrator is gone."""
        if self.up or self._calls or self.leases.any:
            self.losses, self.why_lost = self.losses + 1, why
        self.up, self.why_down = False, why
        self.leases.forget()
        for call in [*self._calls]:
            call.cancel()

    def enter(self, call: asyncio.Task[Any]) -> None:
        """A call is under way, until it leaves; it is cancelled when the server is lost."""
        self._calls.add(call)

    def leave(self, call: asyncio.Task[Any]) -> None:
        """The call is done."""
        self._calls.discard(call)

    async def close(self) -> None:
        """Ends the leases, where that takes no time, and the connection."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.leases.close(), _CLOSE_S)
        await self.client.close()

    async def _ask(self) -> tuple[bool, Who]:
        return await self.client.is_server_ready(), await self.peer.who()

    async def _check_again(self) -> None:
        while True:
            await self.check()
            await asyncio.sleep(_PERIOD_S)

    async def _renew_again(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            try:
                await self.leases.renew()
            except CallError as error:
                self.why_down = str(error)  # the next check finds out more
