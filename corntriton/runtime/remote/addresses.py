"""Where the other servers are: the environment of this one says it, names in it are looked up in the DNS.

    CORNTRITON_SERVERS="large=host1:8001;host2:8001,small=host3:8001"

Each role with the gRPC endpoints of its servers. A host may be a name with several addresses, as that of a
headless Service in Kubernetes: each of them is a server.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Mapping, Sequence
from typing import NamedTuple

VARIABLE = "CORNTRITON_SERVERS"
# Where this very server takes gRPC calls; set by who starts it and wants its streams to go that way.
OWN_VARIABLE = "CORNTRITON_OWN_GRPC"
FORM = f'{VARIABLE}="large=host1:8001;host2:8001,small=host3:8001"'
_ENDPOINT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:;,=\[\]]+):([0-9]{1,5})", re.ASCII)


class AddressesError(ValueError):
    """The variable has a value that names no servers."""


class Endpoint(NamedTuple):
    """A host, as somebody wrote it, and a port."""

    host: str
    port: int


Endpoints = Mapping[str, Sequence[Endpoint]]


def endpoints_from_environment() -> dict[str, tuple[Endpoint, ...]]:
    """The endpoints of each role, by the environment of this process; none where it does not say.

    Raises:
        AddressesError: What it says has another form.
    """
    return parse(os.environ.get(VARIABLE, ""))


def parse(text: str) -> dict[str, tuple[Endpoint, ...]]:
    """The endpoints of each role that a value of the variable names.

    Raises:
        AddressesError: It has another form.
    """
    found: dict[str, tuple[Endpoint, ...]] = {}
    for part in text.split(",") if text.strip() else []:
        role, is_given, hosts = (each.strip() for each in part.partition("="))
        if not role or not is_given:
            raise _wrong(f"{part.strip()!r} does not say which role has which addresses")
        if role in found:
            raise _wrong(f"the role {role} is named twice")
        found[role] = tuple(dict.fromkeys(_endpoint(host.strip(), role) for host in hosts.split(";")))
    return found


async def resolve(endpoint: Endpoint) -> tuple[str, ...]:
    """The addresses of an endpoint, as `ip:port` in order; none where nobody knows the name.

    A host of both kinds counts with those of IPv4 alone, since each server is to be counted once.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            endpoint.host, endpoint.port, type=socket.SOCK_STREAM
        )
    except OSError:
        return ()
    of_kind = {kind: {info[4][0] for info in found if info[0] == kind} for kind in _SHOWN}
    kind = socket.AF_INET if of_kind[socket.AF_INET] else socket.AF_INET6
    return tuple(_SHOWN[kind].format(address, endpoint.port) for address in sorted(of_kind[kind]))


_SHOWN = {socket.AF_INET: "{}:{}", socket.AF_INET6: "[{}]:{}"}


def _endpoint(text: str, role: str) -> Endpoint:
    match = _ENDPOINT.fullmatch(text)
    if match is None or not 0 < int(match[2]) < 1 << 16:
        raise _wrong(f"{text!r}, of the role {role}, is no host:port")
    return Endpoint(match[1].strip("[]"), int(match[2]))


def _wrong(what: str) -> AddressesError:
    return AddressesError(f"{VARIABLE}: {what}; To fix: give it the form {FORM}")
