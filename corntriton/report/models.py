"""Draws checked models in the terminal: their components, and the path of each request type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from corntriton.record.path import Invocation, Path
from corntriton.record.signature import Port
from corntriton.report.lanes import Row, draw
from corntriton.report.paths import (
    guards_in_words,
    input_node,
    inputs_in_words,
    invocation_node,
    nodes_of,
    output_node,
    port_in_words,
    tags,
)
from corntriton.spec.components import Component
from corntriton.spec.load import LoadedModel

_STYLES = {
    "encoder": "cyan",
    "llm": "magenta",
    "generator": "yellow",
    "vocoder": "green",
    "processor": "blue",
}
_STREAMS = "≋"


def show_model(model: LoadedModel, served_as: Mapping[str, str], console: Console) -> None:
    """Prints a model: components, then each request type's path.

    Args:
        model: The model.
        served_as: The Triton model of each component, where another model's serves it too.
        console: Where to print.
    """
    title = Text.assemble((model.name, "bold"), ("  " + str(model.file), "dim"))
    console.print(Rule(title, align="left", style="dim"))
    console.print(Padding(_components(model, served_as), (0, 0, 0, 2)))
    for name, path in model.paths.items():
        # Lines are left to the terminal to wrap: a folded drawing cannot be read.
        console.print(_request_type(name, path, model), soft_wrap=True)


def _components(model: LoadedModel, served_as: Mapping[str, str]) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for column in ("component", "kind", "runs on", "batch"):
        table.add_column(column, no_wrap=True)
    for column in ("inputs", "outputs"):
        table.add_column(column, overflow="fold")
    for name, component in model.components.items():
        unused = name in model.unused
        table.add_row(*_component_row(component, served_as.get(name), unused), style="dim" if unused else "")
    return table


def _component_row(component: Component, served_as: str | None, unused: bool) -> list[Text]:
    spec, signature = component.spec, component.signature
    name = Text(component.name, _STYLES[spec.kind])
    for remark in (served_as and f"served as {served_as}", unused and "unused"):
        if remark:
            name.append(f"\n{remark}", "dim italic")
    count = f"{spec.instances}×" if spec.instances > 1 else ""
    most = spec.batching.max_batch_size
    outputs = _ports(signature.outputs)
    if spec.streaming:
        outputs.append(f" {_STREAMS}", "bold")
    batch = Text("none" if most == 0 else f"≤{most}" if most > 1 else "1")
    runs_on = Text(f"{count}{spec.backend}, {spec.wanted_device}")
    return [name, Text(spec.kind), runs_on, batch, _ports(signature.inputs), outputs]


def _ports(ports: Mapping[str, Port]) -> Text:
    return Text("\n").join(Text(port_in_words(name, port)) for name, port in ports.items())


def _request_type(name: str, path: Path, model: LoadedModel) -> RenderableType:
    title = Text.assemble(("  " + name, "bold"))
    guards = Text("  for requests with " + guards_in_words(path.guards), "dim")
    drawing = _Drawing(path, model)
    return Group(title, *([guards] if path.guards else []), *drawing.lines(), Text(""))


class _Drawing:
    """One path's drawing, with words beside the lines."""

    def __init__(self, path: Path, model: LoadedModel) -> None:
        self._model = model
        self._rows: Sequence[Row] = draw(nodes_of(path))
        self._labels: dict[str, Text] = {}
        self._styles: dict[str, str] = {}
        self._arrivals: dict[str, str] = {}
        for invocation in path.invocations:
            node = invocation_node(invocation.id)
            self._styles[node] = _STYLES[model.components[invocation.component].spec.kind]
            self._labels[node] = self._invocation(invocation)
            self._arrivals[node] = inputs_in_words(invocation.inputs)
        for name, argument in path.outputs.items():
            self._labels[output_node(name)] = Text(name, "bold")
            self._arrivals[output_node(name)] = inputs_in_words({name: argument})
        for name in model.spec.inputs:
            self._labels[input_node(name)] = Text(name, "bold")

    def lines(self) -> list[Text]:
        """The drawing, line by line; words begin in the same column."""
        width = max((len(row.lines) for row in self._rows), default=0) + 2
        return [self._line(row, width) for row in self._rows]

    def _line(self, row: Row, width: int) -> Text:
        line = Text("    ")
        style = self._styles.get(row.node, "bold")
        for column, character in enumerate(row.lines.ljust(width)):
            line.append(character, style if row.is_mark and column == row.column else "dim")
        words = self._labels[row.node] if row.is_mark else Text(self._arrivals[row.node], "dim")
        return line.append_text(words)

    def _invocation(self, invocation: Invocation) -> Text:
        label = Text.assemble((invocation.id, self._styles[invocation_node(invocation.id)]))
        for tag in tags(invocation):
            label.append(f"  {tag}", "bold")
        if self._model.components[invocation.component].spec.streaming:
            label.append(f"  {_STREAMS} streams", "dim")
        return label
