"""HAProxy in front of the servers: picks a ready one for each request, as a Service or a gateway does.

It adds little to what servers promise: a request for which it gets no connection goes to another server, and
one that it has handed over is not sent again. Its log says which server had which request: clients name
theirs in the header `x-request`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

HTTP_PORT, GRPC_PORT = 8000, 8001
HEADER = "x-request"
_LINE = re.compile(r"asked (\S+) of (\S+): (\S+) (\S+)")
# max-reuse 0 gives each request a connection to its server: HAProxy 2.6.12 resets some of the others on a
# connection when one client leaves.
_CONFIG = """\
global
    log stdout format raw local0
    tune.h2.initial-window-size 1048576
    tune.h2.max-concurrent-streams 1000
defaults
    log global
    mode http
    balance roundrobin
    timeout connect 1s
    timeout check 3s
    option redispatch 1
    http-reuse never
    timeout client 10m
    timeout server 10m
    log-format "asked %[capture.req.hdr(0)] of %s: %ST %ts %B"
    option httpchk
{checks}
    default-server inter 1s fall 3 rise 1
frontend http
    bind {http_bind}
    capture request header {header} len 64
    default_backend http
frontend grpc
    bind {grpc_bind} proto h2
    capture request header {header} len 64
    default_backend grpc
backend http
{http_servers}
backend grpc
{grpc_servers}
"""


def why_no_balancer() -> str:
    """What is missing; empty where nothing is."""
    return "" if _program() else "haproxy not found; apt-get install haproxy"


def command(config: Path) -> list[str]:
    """What to run."""
    return [_program() or "haproxy", "-db", "-f", str(config)]


def write_config(
    config: Path, addresses: Mapping[str, tuple[str, str]], ready: Sequence[str], binds: tuple[str, str]
) -> None:
    """Writes the file.

    Args:
        config: The file.
        addresses: HTTP's and gRPC's `host:port`, by server.
        ready: The paths that answer 200 while a server may be asked.
        binds: Where it listens itself, for HTTP and for gRPC.
    """
    checks = "\n".join(
        f"    http-check connect\n    http-check send meth GET uri {path}\n    http-check expect status 200"
        for path in ready
    )
    http = [f"    server {name} {pair[0]} check" for name, pair in addresses.items()]
    # One check says it for both protocols.
    options = "proto h2 max-reuse 0"
    grpc = [f"    server {name} {pair[1]} {options} track http/{name}" for name, pair in addresses.items()]
    text = _CONFIG.format(
        header=HEADER,
        checks=checks,
        http_bind=binds[0],
        grpc_bind=binds[1],
        http_servers="\n".join(http),
        grpc_servers="\n".join(grpc),
    )
    config.write_text(text)


def servers_asked(log: str) -> dict[str, tuple[str, str]]:
    """The server, and how HAProxy saw the request end (`--` is well), by the requests' names."""
    return {match[1]: (match[2], match[4]) for match in _LINE.finditer(log)}


def _program() -> str | None:
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
