"""The ports of a server: given ones that must be free, or free ones."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Collection, Iterator
from dataclasses import astuple, dataclass

from corntriton.errors import Problems

# Below Linux's ephemeral ports (32768 and up), so that no outgoing connection takes one between the choice
# and tritonserver's bind, which comes only after all models are loaded.
_CANDIDATES = range(20000, 32000)


@dataclass(frozen=True)
class Ports:
    """Triton's three; 0 stands for any free one."""

    http: int = 8000
    grpc: int = 8001
    metrics: int = 8002

    @property
    def any_free(self) -> bool:
        """Whether one of them may be chosen again."""
        return 0 in astuple(self)

    def shifted(self, by: int) -> Ports:
        """All greater by so much, but for those that are any free one."""
        return Ports(*(port + by if port else 0 for port in astuple(self)))


FREE_PORTS = Ports(0, 0, 0)


def choose_ports(wanted: Ports, host: str, taken: Collection[int] = ()) -> Ports:
    """Replaces each 0 by a port that is free now; another process may still take it before it is used.

    Args:
        wanted: The ports.
        host: The address to listen at.
        taken: Ports that are meant for others.

    Raises:
        UserError: A given port is taken, or `host` is no address of this machine.
    """
    problems = Problems()
    for name, port in zip(("http", "grpc", "metrics"), astuple(wanted), strict=True):
        if port and (reason := _unavailable(host, port)):
            fix = "give another port, or --free-ports"
            problems.add(f"--{name}-port", f"{host}:{port}", f"cannot listen there: {reason}", fix)
    problems.raise_if_any()
    free = _free_ports(host, {*astuple(wanted), *taken})
    return Ports(*(port or next(free) for port in astuple(wanted)))


def _free_ports(host: str, taken: set[int]) -> Iterator[int]:
    for port in random.sample(_CANDIDATES, len(_CANDIDATES)):
        if port not in taken and _unavailable(host, port) is None:
            yield port


def _unavailable(host: str, port: int) -> str | None:
    """Why nobody can listen there, or None."""
    with contextlib.closing(socket.socket()) as trial:
        # As tritonserver does; without it a port of a server that just ended would count as taken.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None
