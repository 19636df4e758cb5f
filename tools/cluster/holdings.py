"""What the servers of a cluster hold: tensors, requests, processes, memory."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

from bench.arenas import look_into
from bench.processes import memory_of

from cluster.server import Member

_SETTLES_IN_S = 30.0
_POLL_S = 0.2
_ARENAS = "corntriton-arena-*"
_WORKER = "runtime.worker"
_STUB = re.compile(r"/model_repository/([^/]+)/1/model\.py")


@dataclass(frozen=True)
class Held:
    """By one server.

    Attributes:
        tensor_bytes: Of requests that live, leases of other servers' requests among them.
        requests: That live.
        claims: Of readers.
        processes: It has.
        capacity_bytes: With memory behind them, of all its arenas.
    """

    tensor_bytes: int
    requests: int
    claims: int
    processes: int
    capacity_bytes: int

    @property
    def nothing(self) -> bool:
        """Whether no request has left anything."""
        return not (self.tensor_bytes or self.requests or self.claims)


def held_by(member: Member) -> Held:
    """At this moment."""
    arenas = look_into(member.shm.glob(_ARENAS), member.root / "proc")
    return Held(
        sum(each.held_bytes for each in arenas),
        sum(each.live_requests for each in arenas),
        sum(each.claims for each in arenas),
        len(member.processes()),
        sum(each.capacity_bytes for each in arenas),
    )


def settled(members: Iterable[Member]) -> dict[str, Held]:
    """Once nothing is under way: what is then still held does not go by itself.

    Leases of a server that was killed are held until nobody has renewed them for a while.
    """
    give_up_s = time.monotonic() + _SETTLES_IN_S
    while True:
        found = {member.name: held_by(member) for member in members}
        if all(each.nothing for each in found.values()) or time.monotonic() > give_up_s:
            return found
        time.sleep(_POLL_S)


def worker_pids(member: Member) -> list[int]:
    """The processes in which components' own code runs, as seen from here."""
    return [pid for pid, line in member.processes().items() if _WORKER in line]


def memory_bytes(members: Iterable[Member]) -> dict[str, int]:
    """Of all their processes, but what these share in files, arenas among them; by what runs in them."""
    found: dict[str, int] = {}
    for member in members:
        for pid, line in member.processes().items():
            kind = _kind(line)
            found[kind] = found.get(kind, 0) + memory_of([pid])
    return found


def _kind(line: str) -> str:
    if _WORKER in line:
        return "components"
    stub = _STUB.search(line)
    if stub is None:
        return "tritonserver" if line.split(" ")[0].endswith("/tritonserver") else "others"
    return stub[1] if "__" not in stub[1] else "stubs of components"
