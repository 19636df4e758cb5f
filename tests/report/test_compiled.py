"""The tables of compiled paths and of tensors."""

from __future__ import annotations

import io

from rich.console import Console

from corntriton.report.compiled import show_compiled
from corntriton.repository.compiling import CompiledType, CompiledWay
from corntriton.repository.edges import Edge
from corntriton.repository.obstacles import Reason


def shown(*types: CompiledType) -> list[str]:
    console = Console(width=120, file=io.StringIO())
    with console.capture() as captured:
        show_compiled(types, "embedded", console)
    return [" ".join(line.split()) for line in captured.get().splitlines()]


def test_each_type_has_its_ensembles_or_the_reason_and_each_tensor_its_way() -> None:
    edges = (
        Edge("a.states", "b.states", "ref", "large", 3072000),
        Edge("b.text", "response.y", "inline", "one text", None, "images"),
    )
    streams = Reason("streams", "chat streams")
    constant = Reason("constant", "b.n is a constant of the flow, 3")
    lines = shown(
        CompiledType("m", "talk", (CompiledWay(1.0, "m__talk__path", None, edges),), None, constant),
        CompiledType("m", "chat", (CompiledWay(1.0, None, streams, ()),), None, streams),
        CompiledType("m", "hear", (CompiledWay(1.0, "m__hear__path", None, ()),), "m.hear", None),
    )
    assert "talk m__talk__path no: b.n is a constant of the flow, 3" in lines
    assert "chat no: chat streams" in lines
    assert "hear m__hear__path m.hear" in lines
    assert "talk a.states b.states ref large 3,072,000" in lines
    assert "b.text ×images response.y inline one text" in lines


def test_a_model_without_request_types_has_no_tables() -> None:
    assert shown() == []
