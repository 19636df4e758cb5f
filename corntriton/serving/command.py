"""`corntriton serve`: starts a server, or one for each node, shows what goes on, and stops when told to."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from corntriton.serving.deployment import Deployment
from corntriton.serving.fleet import Fleet
from corntriton.serving.logs import LogLine
from corntriton.serving.server import Server

_STYLES = {"warning": "yellow", "error": "red"}


def serve_until_stopped(fleet: Fleet, n_models: int, console: Console, announce: Callable[[], None]) -> None:
    """Starts servers, announces them when they are ready, and holds them until Ctrl-C, SIGTERM or SIGHUP.

    Args:
        fleet: One, or one for each node.
        n_models: How many they will load.
        console: For what goes on.
        announce: Called once.

    Raises:
        UserError: A given port is taken.
        ServerError: It did not start, or ended by itself.
    """
    with contextlib.suppress(KeyboardInterrupt), _signals_as_interrupts():
        try:
            with _loading(fleet, n_models, console):
                fleet.start()
            announce()
            fleet.wait()
        finally:
            console.print("stopping")
            fleet.stop()


def printer(console: Console, everything: bool) -> Callable[[str, LogLine], None]:
    """Prints lines of the log of a node, the notable ones or all."""

    def print_line(node: str, line: LogLine) -> None:
        if everything or line.notable:
            style = _STYLES.get(line.severity, "")
            console.print(Text.assemble((f"{node or 'tritonserver'} │ ", "dim"), (str(line), style)))

    return print_line


def show(deployments: Mapping[str, Deployment], servers: Mapping[str, Server], console: Console) -> None:
    """Prints where the servers answer, and what; by node, or one of no name."""
    for node, server in servers.items():
        if node:
            console.print(Text.assemble((node, "bold"), f", role {deployments[node].role or node}"))
        _show(deployments[node], server, console)
    console.print("ready; Ctrl-C stops it")


def _show(deployment: Deployment, server: Server, console: Console) -> None:
    addresses = Table("protocol", "address", box=None)
    addresses.add_row("HTTP", f"http://{server.http_url}")
    addresses.add_row("gRPC", server.grpc_url)
    addresses.add_row("metrics", f"http://{server.metrics_url}/metrics")
    models = Table("model", "kind", "called by", box=None)
    for name, kind in deployment.models.items():
        models.add_row(name, kind, "clients" if name in deployment.endpoints else "")
    console.print(addresses, "", models, "", sep="\n")


def to_json(deployments: Mapping[str, Deployment], servers: Mapping[str, Server]) -> dict[str, Any]:
    """The same for machines; of several nodes, under `nodes`."""
    found = {node: _to_json(deployments[node], server) for node, server in servers.items()}
    return found.get("", {"nodes": found})


def _to_json(deployment: Deployment, server: Server) -> dict[str, Any]:
    return {
        "id": server.id,
        "http": server.http_url,
        "grpc": server.grpc_url,
        "metrics": server.metrics_url,
        "models": dict(deployment.models),
        "endpoints": list(deployment.endpoints),
    }


@contextlib.contextmanager
def _loading(fleet: Fleet, n_models: int, console: Console) -> Iterator[None]:
    """A bar that grows with every model that has been loaded."""
    columns = (SpinnerColumn(), TextColumn("loading models"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=n_models)
        fleet.on_loaded = lambda _: progress.advance(task)
        yield


@contextlib.contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """While it lasts, SIGTERM and a closed terminal end the program as Ctrl-C does."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
