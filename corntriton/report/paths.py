"""Says in words what a path holds: its guards, and where the inputs of its invocations come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from corntriton.record.path import (
    Argument,
    Chunks,
    Const,
    Element,
    Guard,
    Input,
    Invocation,
    Items,
    Output,
    Path,
    Spread,
)
from corntriton.record.signature import Port
from corntriton.report.lanes import Node


def nodes_of(path: Path) -> list[Node]:
    """The path as nodes to draw; each request input stands just above its first consumer."""
    nodes: list[Node] = []
    drawn: set[str] = set()

    def add(name: str, mark: str, arguments: Iterator[Argument]) -> None:
        producers = list(dict.fromkeys(node for argument in arguments for node in _producers(argument)))
        for producer in producers:
            if producer not in drawn:
                drawn.add(producer)
                nodes.append(Node(producer, "○"))
        drawn.add(name)
        nodes.append(Node(name, mark, producers))

    for invocation in path.invocations:
        add(invocation_node(invocation.id), "■", iter(invocation.inputs.values()))
    for name, argument in path.outputs.items():
        add(output_node(name), "●", iter([argument]))
    return nodes


def input_node(name: str) -> str:
    """The name of a request input's node."""
    return f"input {name}"


def invocation_node(name: str) -> str:
    """The name of an invocation's node."""
    return f"invocation {name}"


def output_node(name: str) -> str:
    """The name of a model output's node."""
    return f"output {name}"


def inputs_in_words(arguments: Mapping[str, Argument]) -> str:
    """`prompt ← text · context ← [vision.caption ×images]`."""
    return " · ".join(f"{name} ← {_in_words(argument)}" for name, argument in arguments.items())


def guards_in_words(guards: Sequence[Guard]) -> str:
    """`text, no images, style = "short"; wanted: answer; not wanted: speech`."""
    facts = [guard_in_words(guard) for guard in guards if guard.kind != "wants"]
    wanted = [guard.name for guard in guards if guard.kind == "wants" and guard.value]
    unwanted = [guard.name for guard in guards if guard.kind == "wants" and not guard.value]
    groups = (("", facts), ("wanted: ", wanted), ("not wanted: ", unwanted))
    return "; ".join(head + ", ".join(words) for head, words in groups if words)


def guard_in_words(guard: Guard) -> str:
    """A guard on what a request brings: `audio`, `no images`, `style = "short"`."""
    name, value = guard.name, guard.value
    if guard.kind in ("present", "some"):
        return name if value else f"no {name}"
    if guard.kind == "count":
        return f"{value} × {name}"
    if guard.kind == "shape":
        dims = "unknown" if value is None else list(value) if isinstance(value, tuple) else value
        return f"shape of {name} {dims}"
    return f"no {name}" if value is None else f"{name} = {_quoted(value)}"


def port_in_words(name: str, port: Port) -> str:
    """`states FP32[1500,512]`; a list ends in `…`, what may be left out in `?`."""
    dims = "" if port.dims == (1,) else f"[{','.join(map(str, port.dims))}]"
    return f"{name}{'?' if port.optional else ''} {port.dtype}{dims}{' …' if port.list else ''}"


def tags(invocation: Invocation) -> list[str]:
    """What is special about an invocation: that it is mapped, that it gets chunks."""
    chunked = [argument.by for argument in invocation.inputs.values() if isinstance(argument, Chunks)]
    mapped = [f"×{invocation.over}"] if invocation.over else []
    return mapped + [f"once per {by}" for by in chunked]


def _producers(argument: Argument | Spread) -> Iterator[str]:
    if isinstance(argument, Input):
        yield input_node(argument.name)
    elif isinstance(argument, Element):
        yield input_node(argument.list)
    elif isinstance(argument, Output):
        yield invocation_node(argument.invocation)
    elif isinstance(argument, Chunks):
        yield from _producers(argument.source)
    elif isinstance(argument, (Items, Spread)):
        for item in argument.items:
            yield from _producers(item)


def _in_words(argument: Argument | Spread) -> str:
    if isinstance(argument, Input):
        return argument.name
    if isinstance(argument, Element):
        return f"each of {argument.list}" if argument.index is None else f"{argument.list}[{argument.index}]"
    if isinstance(argument, Output):
        return f"{argument.invocation}.{argument.name}"
    if isinstance(argument, Chunks):
        return f"{_in_words(argument.source)} by {argument.by}"
    if isinstance(argument, Const):
        return _quoted(argument.value)
    items = ", ".join(_in_words(item) for item in argument.items)
    if isinstance(argument, Spread):
        return f"{items} ×{argument.over}" if len(argument.items) == 1 else f"({items}) ×{argument.over}"
    return f"[{items}]"


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
