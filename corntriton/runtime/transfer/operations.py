"""What the transfer model does for others: a call as plain data goes in, its result comes out.

No Triton in here.

| op | call | refs | result | data |
|---|---|---|---|---|
| who | | | node, role, transports | |
| bring | owner or null, timeout_us | to bring | owner | refs that are good here |
| read | begin, nbytes | one, of an arena here | | that range of the tensor's bytes |
| lend | count | | owners: leases in advance | |
| renew, end | owners | | | |
| open | known, timeout_us | one or none | see Exports.open, or trial | |
| close | notice | | | |
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from corntriton.runtime.failures import BadRequestError, RequestError
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.ref import REF_BYTES
from corntriton.runtime.tensors import Array
from corntriton.runtime.transfer.client import all_of
from corntriton.runtime.transfer.exports import Exports
from corntriton.runtime.transfer.leases import Leases
from corntriton.runtime.transfer.nixl import NixlError

# A year; more would not be a time that anybody waits.
_MOST_US = 365 * 24 * 3600 * 1_000_000
_MOST_LENT = 64
Call = Mapping[str, Any]


class UnsupportedError(RequestError):
    """It cannot be done here, but perhaps in another way."""

    code = "UNSUPPORTED"


class Operations:
    """One server's.

    Args:
        memory: This process's.
        leases: In it.
        role: Of the server.
        exports: Of NIXL, where it is used.
    """

    def __init__(self, memory: SharedMemory, leases: Leases, role: str, exports: Exports | None) -> None:
        self._memory = memory
        self._leases = leases
        self._exports = exports
        transports = ("grpc",) if exports is None else ("nixl", "grpc")
        self._who = {"node": memory.regions.node, "role": role, "transports": transports}

    def read(self, call: Call, refs: Sequence[bytes]) -> Array:
        """A view of a range of a tensor's bytes; from any thread.

        Raises:
            BadRequestError: The call is none, or the range reaches beyond the tensor.
            InvalidRefError: See Reader.read_bytes.
            ArenaFullError: See Reader.read_bytes.
        """
        if len(refs) != 1:
            raise BadRequestError("to read takes one ref")
        begin, nbytes = _whole(call, "begin"), _whole(call, "nbytes")
        whole = self._memory.reader.read_bytes(refs[0])
        if begin + nbytes > whole.nbytes:
            raise BadRequestError("the range reaches beyond the tensor")
        return whole[begin : begin + nbytes]

    async def run(self, call: Call, refs: Sequence[bytes]) -> tuple[Mapping[str, Any], Sequence[bytes]]:
        """The result, and refs, of any other call; in the event loop of the leases.

        Raises:
            BadRequestError: The call is none.
            UnsupportedError: NIXL is not used here.
            InvalidOwnerError: It names a lease that is none, or has ended.
            Exception: What Puller.pull raises.
        """
        op = call.get("op")
        if op == "who":
            return self._who, ()
        if op == "bring":
            return await self._bring(call, refs)
        if op == "lend":
            count = min(_whole(call, "count"), _MOST_LENT)
            return {"owners": [lease.owned.text for lease in self._leases.lend(count)]}, ()
        if op == "open":
            return self._open(call, refs), ()
        if op == "close":
            self._exported().close(str(call.get("notice")))
        elif op == "renew":
            self._leases.renew(_owners(call))
        elif op == "end":
            self._leases.end(_owners(call))
        else:
            raise BadRequestError("call names no operation of this model")
        return {}, ()

    async def _bring(self, call: Call, refs: Sequence[bytes]) -> tuple[Mapping[str, Any], Sequence[bytes]]:
        owner, timeout_us = call.get("owner"), _whole(call, "timeout_us")
        deadline_ns = time.monotonic_ns() + 1000 * min(timeout_us, _MOST_US)
        lease = self._leases.open() if owner is None else self._leases.get(str(owner))
        try:
            with lease.use():
                brought = await all_of(lease.bring(ref, deadline_ns) for ref in refs)
        except BaseException:
            if owner is None:  # nobody will ever know of it
                self._leases.drop(lease)
            raise
        return {"owner": lease.owned.text}, brought

    def _open(self, call: Call, refs: Sequence[bytes]) -> Mapping[str, Any]:
        known, time_s = call.get("known"), min(_whole(call, "timeout_us"), _MOST_US) / 1e6
        exports = self._exported()
        try:
            return exports.open(refs[0], known, time_s) if refs else exports.trial(known, time_s)
        except NixlError as error:
            raise UnsupportedError(str(error)) from None

    def _exported(self) -> Exports:
        if self._exports is None:
            raise UnsupportedError("this server does not use NIXL")
        return self._exports


def split(refs: Array) -> list[bytes]:
    """The refs in one tensor.

    Raises:
        BadRequestError: It does not hold a whole number of them.
    """
    if refs.dtype != np.uint8 or refs.nbytes % REF_BYTES:
        raise BadRequestError(f"refs come in {REF_BYTES} bytes each")
    packed = refs.tobytes()
    return [packed[at : at + REF_BYTES] for at in range(0, len(packed), REF_BYTES)]


def _whole(call: Call, name: str) -> int:
    value = call.get(name)
    if not isinstance(value, int) or value < 0:
        raise BadRequestError(f"{name} has to be a whole number")
    return value


def _owners(call: Call) -> list[str]:
    owners = call.get("owners")
    if not isinstance(owners, list):
        raise BadRequestError("owners has to be a list")
    return [str(owner) for owner in owners]
