"""Shows which request types are ensembles, and how the tensors of each pass."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from corntriton.repository.compiling import CompiledType, CompiledWay
from corntriton.repository.edges import Edge
from corntriton.repository.obstacles import Reason


def show_compiled(types: Sequence[CompiledType], backends: str, console: Console) -> None:
    """Prints two tables: what each request type is compiled to, or why it is not; what passes, and how.

    Args:
        types: The request types of one model.
        backends: For which server.
        console: Where to print.
    """
    if not types:
        return
    console.print(Text.assemble(("  compiled", "bold"), (f", for --backends {backends}", "dim")))
    console.print(Padding(_compiled(types), (0, 0, 0, 2)))
    console.print(Text.assemble(("  tensors", "bold")))
    console.print(Padding(_edges(types), (0, 0, 0, 2)))


def _compiled(types: Sequence[CompiledType]) -> Table:
    table = _table("request type", "in one call", "for clients")
    for each in types:
        for way in each.routes:
            private = _found(way.ensemble, way.not_compiled)
            same = each.not_public is not None and each.not_public == way.not_compiled
            table.add_row(
                each.request_type, private, Text() if same else _found(each.public, each.not_public)
            )
    return table


def _edges(types: Sequence[CompiledType]) -> Table:
    table = _table("request type", "from", "to", "passes", "because", "bytes")
    table.columns[-1].justify = "right"
    for each in types:
        for way in each.routes:
            _add_edges(table, each.request_type, way)
    return table


def _add_edges(table: Table, request_type: str, way: CompiledWay) -> None:
    for number, edge in enumerate(way.edges):
        last = number == len(way.edges) - 1
        table.add_row("" if number else request_type, *_row(edge), end_section=last)


def _row(edge: Edge) -> tuple[str | Text, ...]:
    times = f" ×{edge.each_of}" if edge.each_of else ""
    style = "green" if edge.transport in ("ref", "device ref") else ""
    nbytes = "" if edge.nbytes is None else f"{edge.nbytes:,}"
    return edge.producer + times, edge.consumer, Text(edge.transport, style), edge.rule, nbytes


def _found(name: str | None, reason: Reason | None) -> Text:
    return Text(name) if name else Text(f"no: {reason.text}" if reason else "", "dim")


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
