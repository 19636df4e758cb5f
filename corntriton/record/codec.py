"""Paths as plain data for JSON files, and back; equal paths give equal data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    Scalar,
    Source,
    Spread,
)


def path_to_json(path: Path) -> dict[str, Any]:
    """Plain data: dicts, lists and scalars."""
    return {
        "guards": [
            {"kind": each.kind, "name": each.name, "value": _plain(each.value)} for each in path.guards
        ],
        "invocations": [_invocation_to_json(invocation) for invocation in path.invocations],
        "outputs": _arguments_to_json(path.outputs),
    }


def path_from_json(data: Mapping[str, Any]) -> Path:
    """The inverse of path_to_json."""
    return Path(
        tuple(Guard(each["kind"], each["name"], _frozen(each["value"])) for each in data["guards"]),
        tuple(_invocation_from_json(each) for each in data["invocations"]),
        _arguments_from_json(data["outputs"]),
    )


def _invocation_to_json(invocation: Invocation) -> dict[str, Any]:
    return {
        "id": invocation.id,
        "component": invocation.component,
        "inputs": _arguments_to_json(invocation.inputs),
        "over": invocation.over,
    }


def _invocation_from_json(data: Mapping[str, Any]) -> Invocation:
    return Invocation(data["id"], data["component"], _arguments_from_json(data["inputs"]), data["over"])


def _arguments_to_json(arguments: Mapping[str, Argument]) -> dict[str, Any]:
    return {name: _to_json(argument) for name, argument in arguments.items()}


def _arguments_from_json(data: Mapping[str, Any]) -> dict[str, Argument]:
    return {name: _argument_from_json(each) for name, each in data.items()}


def _to_json(argument: Argument | Spread) -> dict[str, Any]:
    if isinstance(argument, Items):
        return {"items": [_to_json(item) for item in argument.items]}
    if isinstance(argument, Spread):
        return {"over": argument.over, "items": [_to_json(item) for item in argument.items]}
    if isinstance(argument, Chunks):
        return {"chunks": _to_json(argument.source), "by": argument.by}
    if isinstance(argument, Input):
        return {"input": argument.name}
    if isinstance(argument, Element):
        return {"element": argument.list, "index": argument.index}
    if isinstance(argument, Output):
        return {"output": argument.name, "of": argument.invocation}
    return {"const": _plain(argument.value)}


def _argument_from_json(data: Mapping[str, Any]) -> Argument:
    if "items" in data:
        return Items(tuple(_item_from_json(item) for item in data["items"]))
    if "chunks" in data:
        return Chunks(_source_from_json(data["chunks"]), data["by"])
    return _source_from_json(data)


def _item_from_json(data: Mapping[str, Any]) -> Source | Spread:
    if "over" in data:
        return Spread(data["over"], tuple(_source_from_json(item) for item in data["items"]))
    return _source_from_json(data)


def _source_from_json(data: Mapping[str, Any]) -> Source:
    if "input" in data:
        return Input(data["input"])
    if "element" in data:
        return Element(data["element"], data["index"])
    if "output" in data:
        return Output(data["of"], data["output"])
    return Const(_frozen(data["const"]))


def _plain(value: Scalar | tuple[Scalar, ...]) -> Any:
    return [*value] if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
