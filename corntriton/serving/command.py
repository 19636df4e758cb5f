"""`corntriton serve`: starts a server, shows what goes on, and stops it when it is told to."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from corntriton.serving.deployment import Deployment
from corntriton.serving.logs import LogLine
from corntriton.serving.server import Server

_STYLES = {"warning": "yellow", "error": "red"}


def serve_until_stopped(
    deployment: Deployment, server: Server, console: Console, announce: Callable[[Server], None]
) -> None:
    """Starts the server, announces it when it is ready, and holds it until Ctrl-C, SIGTERM or SIGHUP.

    Raises:
        UserError: A given port is taken.
        ServerError: It did not start, or ended by itself.
    """
    with contextlib.suppress(KeyboardInterrupt), _signals_as_interrupts():
        try:
            with _loading(deployment, server, console):
                server.start()
            announce(server)
            server.wait()
        finally:
            console.print("stopping")
            server.stop()


def printer(console: Console, everything: bool) -> Callable[[LogLine], None]:
    """Prints lines of the log, the notable ones or all."""

    def print_line(line: LogLine) -> None:
        if everything or line.notable:
            style = _STYLES.get(line.severity, "")
            console.print(Text.assemble(("tritonserver │ ", "dim"), (str(line), style)))

    return print_line


def show(deployment: Deployment, server: Server, console: Console) -> None:
    """Prints where the server answers, and what."""
    addresses = Table("protocol", "address", box=None)
    addresses.add_row("HTTP", f"http://{server.http_url}")
    addresses.add_row("gRPC", server.grpc_url)
    addresses.add_row("metrics", f"http://{server.metrics_url}/metrics")
    models = Table("model", "kind", "called by", box=None)
    for name, kind in deployment.models.items():
        models.add_row(name, kind, "clients" if name in deployment.endpoints else "")
    console.print(addresses, "", models, "", "ready; Ctrl-C stops it", sep="\n")


def to_json(deployment: Deployment, server: Server) -> dict[str, Any]:
    """The same for machines."""
    return {
        "id": server.id,
        "http": server.http_url,
        "grpc": server.grpc_url,
        "metrics": server.metrics_url,
        "models": dict(deployment.models),
        "endpoints": list(deployment.endpoints),
    }


@contextlib.contextmanager
def _loading(deployment: Deployment, server: Server, console: Console) -> Iterator[None]:
    """A bar that grows with every model that has been loaded."""
    columns = (SpinnerColumn(), TextColumn("loading models"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(deployment.models))
        server.on_loaded = lambda _: progress.advance(task)
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
