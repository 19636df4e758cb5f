"""Drawings of DAGs, line by line."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from corntriton.report.lanes import Node, draw


def drawn(*nodes: tuple[str, str]) -> list[str]:
    """Nodes given as ("name", "its producers"); the name's first letter is the mark."""
    rows = draw([Node(name, name[0], producers.split()) for name, producers in nodes])
    return [row.lines.rstrip() for row in rows]


def test_a_chain_is_one_line() -> None:
    assert drawn(("a", ""), ("b", "a"), ("c", "b")) == ["a", "│", "b", "│", "c"]


def test_branches_fork_and_join() -> None:
    assert drawn(("a", ""), ("b", "a"), ("c", "a"), ("d", "b c")) == [
        "a",
        "├─╮",
        "│ b",
        "│ │",
        "c │",
        "├─╯",
        "d",
    ]


def test_lines_that_go_on_are_crossed() -> None:
    assert drawn(("a", ""), ("b", ""), ("c", ""), ("d", "a c"), ("e", "b d")) == [
        "a",
        "│ b",
        "│ │ c",
        "├─┼─╯",
        "d │",
        "├─╯",
        "e",
    ]


def test_nodes_that_nobody_consumes_leave_their_lane() -> None:
    assert drawn(("a", ""), ("b", "a"), ("x", ""), ("y", "x")) == ["a", "│", "b", "x", "│", "y"]


@given(st.data())
def test_every_dag_has_one_mark_for_each_node_and_joints_for_each_edge(data: st.DataObject) -> None:
    names = [f"n{index}" for index in range(data.draw(st.integers(1, 12)))]
    nodes = [
        Node(
            name,
            "■",
            data.draw(st.lists(st.sampled_from(names[:index]), unique=True, max_size=3)) if index else [],
        )
        for index, name in enumerate(names)
    ]
    rows = draw(nodes)
    assert [row.node for row in rows if row.is_mark] == names
    assert {row.node for row in rows if not row.is_mark} == {node.name for node in nodes if node.producers}
    for above, below in itertools.pairwise(rows):
        ends_down = [i for i, character in enumerate(above.lines) if character in "│├┤┼┬╮╭"]
        starts_up = [i for i, character in enumerate(below.lines) if character in "│├┤┼┴╯╰"]
        marks = [row.column for row in (above, below) if row.is_mark]
        assert set(ends_down) ^ set(starts_up) <= set(marks)
