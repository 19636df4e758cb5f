"""Draws a DAG with lines down the terminal, as `git log --graph` does; nodes in order in, rows of text out.

○ text
│ ○ images
│ │
│ ■ vision
├─╯
■ llm
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

# By which of its four sides (up, down, left, right) a cell is joined to its neighbours.
_CELLS = {
    (False, False, False, False): " ", (True, True, False, False): "│", (False, False, True, True): "─",
    (True, False, False, True): "╰", (True, False, True, False): "╯", (False, True, False, True): "╭",
    (False, True, True, False): "╮", (True, True, False, True): "├", (True, True, True, False): "┤",
    (True, False, True, True): "┴", (False, True, True, True): "┬", (True, True, True, True): "┼",
}  # fmt: skip


@dataclass(frozen=True)
class Node:
    """A node of the drawing.

    Attributes:
        name: Unique.
        mark: One character that stands for it.
        producers: Names of earlier nodes that lines come from, each once.
    """

    name: str
    mark: str
    producers: Sequence[str] = ()


@dataclass(frozen=True)
class Row:
    """A row of the drawing.

    Attributes:
        lines: The drawing itself.
        node: The node whose mark or whose incoming lines it holds.
        is_mark: It holds the mark; else the lines that lead to the next row's.
        column: Where the mark is or will be.
    """

    lines: str
    node: str
    is_mark: bool
    column: int


def draw(nodes: Sequence[Node]) -> list[Row]:
    """The rows of a drawing, from the top; every producer has to come before its consumers."""
    waiting = Counter(producer for node in nodes for producer in node.producers)
    lanes: list[str | None] = []
    rows = []
    for node in nodes:
        touched = {lanes.index(producer) for producer in node.producers}
        waiting.subtract(node.producers)
        ending = {lane for lane in touched if not waiting[lanes[lane] or ""]}
        column = min(ending) if ending else _free(lanes)
        if touched:
            rows.append(Row(_joints(lanes, touched, ending, column), node.name, False, 2 * column))
        for lane in ending:
            lanes[lane] = None
        lanes[column] = node.name
        marks = [
            node.mark if lane == column else " " if held is None else "│" for lane, held in enumerate(lanes)
        ]
        rows.append(Row(" ".join(marks), node.name, True, 2 * column))
        if not waiting[node.name]:
            lanes[column] = None
    return rows


def _free(lanes: list[str | None]) -> int:
    if None not in lanes:
        lanes.append(None)
    return lanes.index(None)


def _joints(lanes: Sequence[str | None], touched: set[int], ending: set[int], column: int) -> str:
    """The row above a mark, in which the lines of its producers come together."""
    first, last = min(touched | {column}), max(touched | {column})
    text = ""
    for lane, held in enumerate(lanes):
        up = held is not None
        down = lane == column or (up and lane not in ending)
        joined = first <= lane <= last and first < last
        text += _CELLS[up, down, joined and lane > first, joined and lane < last]
        text += "─" if joined and lane < last else " "
    return text
