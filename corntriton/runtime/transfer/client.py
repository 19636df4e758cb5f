"""One other server's transfer model, for coroutines: what one asks of it goes in, what it answers comes out.

`tritonclient` is the caller's: this module works with its client objects and imports it to make tensors only.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from corntriton.runtime.failures import CallError
from corntriton.runtime.shm import immediate
from corntriton.runtime.shm.elements import read_elements
from corntriton.runtime.shm.ref import REF_BYTES, Ref
from corntriton.runtime.tensors import NUMPY_DTYPES, Array
from corntriton.runtime.transfer.faults import told
from corntriton.runtime.transfer.settings import MODEL

_T = TypeVar("_T")
# Of one message; several are under way at once. Larger ones hide less of each other's copies, smaller ones
# cost more calls: tools/bench_transfer.py measures both.
CHUNK_BYTES = 2 * 1024 * 1024
N_CHUNKS_AT_ONCE = 8
# A server that answers a small question no sooner is as good as gone.
_ANSWER_S = 5.0
# A chunk of a tensor; what is slower than this would not end before any request's deadline.
_CHUNK_S = 30.0
# What the far side needs to say that the time is up.
_GRACE_S = 2.0


class Who(NamedTuple):
    """What a server says of itself.

    Attributes:
        node: Where its shared memory lies: what refs to its tensors name.
        role: Servers of one role serve the same.
        transports: How its tensors can be read, the best first: `nixl`, `grpc`.
    """

    node: tuple[int, int]
    role: str
    transports: tuple[str, ...]


class Peer:
    """One server, by its address. For one event loop.

    Raises, in all that it does:
        CallError: The far side refused or failed, with its code and text.
        ServerLostError: It cannot be reached, or went away meanwhile, or its transfer model has died.

    Args:
        address: Of its gRPC endpoint, as messages show it.
        client: A `tritonclient.grpc.aio.InferenceServerClient` of that address, which stays the caller's.

    Attributes:
        transports: As it has said last.
    """

    def __init__(self, address: str, client: Any) -> None:
        self.address = address
        self.transports: tuple[str, ...] = ()
        self._client = client

    async def who(self) -> Who:
        """What it is."""
        result, _ = await self._ask({"op": "who"}, b"", _ANSWER_S)
        self.transports = tuple(result["transports"])
        return Who((result["node"][0], result["node"][1]), result["role"], self.transports)

    async def bring(
        self, owner: str | None, refs: Sequence[bytes], timeout_us: int
    ) -> tuple[str, list[bytes]]:
        """Has it pull tensors into its own memory.

        Args:
            owner: The lease that they are for, as an earlier call gave it; None opens one, which ends when
                nobody renews it.
            refs: To tensors anywhere. Those that already lie on that server come back as they are.
            timeout_us: How long it may take, waiting for room included.

        Returns:
            The lease, an owner's credential there, and as many refs that are good there.
        """
        call = {"op": "bring", "owner": owner, "timeout_us": timeout_us}
        result, data = await self._ask(call, b"".join(refs), timeout_us / 1e6 + _GRACE_S)
        packed = data.tobytes()
        return result["owner"], [packed[at : at + REF_BYTES] for at in range(0, len(packed), REF_BYTES)]

    async def read(self, ref: bytes) -> Array:
        """The whole tensor that a ref of that server names, copied here."""
        if immediate.is_immediate(ref):
            return immediate.unpack(ref)
        place = Ref.unpack(ref)

        async def room() -> Array:
            return np.empty(place.nbytes, np.uint8)

        memory = await self.read_bytes(ref, place.nbytes, room)
        if place.dtype == "BYTES":
            return read_elements(memory.data, place.shape)
        return memory.view(NUMPY_DTYPES[place.dtype]).reshape(place.shape)

    async def read_bytes(self, ref: bytes, nbytes: int, room: Callable[[], Awaitable[Array]]) -> Array:
        """The bytes of a tensor, several chunks at once.

        Args:
            ref: Of that server, not an immediate one.
            nbytes: Of the tensor, as the ref says.
            room: Gives memory [nbytes] for them; asked once, and only when the far side has said that the
                ref is a good one.

        Returns:
            That memory, filled.
        """
        begins = iter(range(0, max(1, nbytes), CHUNK_BYTES))
        memory = _Once(room)

        async def work() -> None:
            for begin in begins:
                chunk = await self._chunk(ref, begin, min(CHUNK_BYTES, nbytes - begin))
                np.copyto((await memory.get())[begin : begin + chunk.nbytes], chunk)

        try:
            await all_of(work() for _ in range(min(N_CHUNKS_AT_ONCE, -(-nbytes // CHUNK_BYTES) or 1)))
            return await memory.get()
        finally:
            memory.forget()

    async def open(self, ref: bytes | None, known: str, timeout_us: int) -> Mapping[str, Any]:
        """Where a tensor, or something to try with, can be read by NIXL: see Exports.open."""
        call = {"op": "open", "known": known, "timeout_us": timeout_us}
        return (await self._ask(call, ref or b"", _ANSWER_S))[0]

    async def close(self, notice: str) -> None:
        """It will not be read, or was read without telling."""
        await self._ask({"op": "close", "notice": notice}, b"", _ANSWER_S)

    async def lend(self, count: int) -> list[str]:
        """Opens leases in advance, which are as those that `bring` opens; perhaps fewer."""
        result, _ = await self._ask({"op": "lend", "count": count}, b"", _ANSWER_S)
        return [str(owner) for owner in result["owners"]]

    async def renew(self, owners: Sequence[str]) -> None:
        """Keeps leases; those that have ended stay so."""
        await self._ask({"op": "renew", "owners": [*owners]}, b"", _ANSWER_S)

    async def end(self, owners: Sequence[str]) -> None:
        """Ends leases, and the life of what was brought for them; who works for them may stop."""
        await self._ask({"op": "end", "owners": [*owners]}, b"", _ANSWER_S)

    async def _chunk(self, ref: bytes, begin: int, nbytes: int) -> Array:
        _, data = await self._ask({"op": "read", "begin": begin, "nbytes": nbytes}, ref, _CHUNK_S)
        if data.nbytes != nbytes:
            raise CallError(
                f"server {self.address} gave {data.nbytes} bytes in place of {nbytes}", "INTERNAL"
            )
        return data

    async def _ask(self, call: dict[str, Any], refs: bytes, timeout_s: float) -> tuple[dict[str, Any], Array]:
        from tritonclient.utils import InferenceServerException

        try:
            answer = await self._client.infer(MODEL, _inputs(call, refs), client_timeout=timeout_s)
        except InferenceServerException as error:
            raise told(self.address, error) from None
        return json.loads(answer.as_numpy("result")[0]), answer.as_numpy("data")


class _Once:
    """Calls a coroutine function once, for all that want what it gives."""

    def __init__(self, make: Callable[[], Awaitable[Array]]) -> None:
        self._make = make
        self._made: Array | None = None
        self._making = asyncio.Lock()

    async def get(self) -> Array:
        """What it gave."""
        async with self._making:
            if self._made is None:
                self._made = await self._make()
            return self._made

    def forget(self) -> None:
        """Whatever else remembers this, a traceback for one, it keeps no memory from being used again."""
        self._made = None


async def all_of(parts: Iterable[Awaitable[_T]]) -> list[_T]:
    """Waits for all at once; when one fails, the others have ended before its failure comes out."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    if not tasks:
        return []
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _inputs(call: dict[str, Any], refs: bytes) -> list[Any]:
    from tritonclient.grpc import InferInput

    one = InferInput("call", [1], "BYTES")
    one.set_data_from_numpy(np.array([json.dumps(call)], np.object_))
    if not refs:
        return [one]
    other = InferInput("refs", [len(refs)], "UINT8")
    other.set_data_from_numpy(np.frombuffer(refs, np.uint8))
    return [one, other]
