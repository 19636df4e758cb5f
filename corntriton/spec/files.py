"""Reads a YAML or JSON file into a Document: plain data, and the line of every key for messages.

file ──read_yaml──> Document ──validation.validate──> frozen pydantic object
          └── Problem(file:line, $.path, what, fix) ──> Problems <──┘
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any

import yaml

from corntriton.errors import Problems

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """What a file says, before anything is known about its meaning.

    Attributes:
        file: The file as the user named it.
        data: Its content: dict, list, str, int, float, bool, None; keys of mappings are texts.
        lines: The line, from 1, of the key or list item at a place, where known.
    """

    file: str
    data: Any
    lines: Mapping[Place, int] = field(default_factory=dict)

    @property
    def folder(self) -> File:
        """The folder the file lies in; paths inside the file start here."""
        return File(self.file).parent

    def note(self, problems: Problems, place: Place, what: str, fix: str) -> None:
        """Adds a problem at a place such as ("components", "llm", "backend"); what and fix as in Problem."""
        problems.add(self.position(place), json_path(place), what, fix)

    def position(self, place: Place) -> str:
        """`file:line` of the place, of the nearest place around it, or just the file."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.lines:
                return f"{self.file}:{self.lines[place[:length]]}"
        return self.file

    def get(self, place: Place) -> Any:
        """The value at a place, or None."""
        value = self.data
        for key in place:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return None
        return value


@dataclass(frozen=True)
class Spot:
    """A place in a document, handed to a check that may find fault with it or with what lies below."""

    document: Document
    problems: Problems
    place: Place = ()

    def at(self, *keys: str | int) -> Spot:
        """A place below this one."""
        return Spot(self.document, self.problems, (*self.place, *keys))

    def note(self, what: str, fix: str) -> None:
        """Adds a problem here; what and fix as in Problem."""
        self.document.note(self.problems, self.place, what, fix)


def json_path(place: Place) -> str:
    """`$.components.llm.inputs.ids.dims[0]`; keys that are no plain words are quoted."""
    return "$" + "".join(_step(key) for key in place)


def read_yaml(file: str | File, problems: Problems) -> Document | None:
    """Reads a YAML file.

    Dates stay texts and `1e-3` is a number (YAML 1.2), so the data is what JSON could hold.

    Args:
        file: As the user named it; problems repeat it.
        problems: Takes what is wrong with the file: unreadable, syntax, duplicate keys, odd tags.

    Returns:
        The document, or None where nothing usable was read.
    """
    text = _read(file, problems)
    if text is None:
        return None
    try:
        return _compose(text, str(file), problems)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = f"{file}:{mark.line + 1}" if mark else str(file)
        column = f", column {mark.column + 1}" if mark else ""
        what = f"is not valid YAML: {error.problem or error.context}{column}"
        problems.add(position, "$", what, "mend the syntax at that line, or just above it")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problems.add(str(file), "$", f"is not valid YAML: {_one_line(error)}", "mend the syntax of the file")
    return None


def read_json(file: str | File, problems: Problems) -> Document | None:
    """Reads a JSON file that corntriton may have written itself; lines of keys are not kept."""
    text = _read(file, problems)
    if text is None:
        return None
    try:
        return Document(str(file), json.loads(text))
    except json.JSONDecodeError as error:
        what = f"is not valid JSON: {error.msg}, column {error.colno}"
        problems.add(f"{file}:{error.lineno}", "$", what, "mend the syntax, or generate the file again")
    except RecursionError:
        problems.add(str(file), "$", "is nested too deeply", "generate the file again")
    return None


def _compose(text: str, file: str, problems: Problems) -> Document | None:
    loader = _Loader(text)
    root = loader.get_single_node()
    if root is None:
        problems.add(file, "$", "is empty", "write the description, or remove the file")
        return None
    reader = _Reader(file, loader, problems)
    return Document(file, reader.value(root, ()), reader.lines)


def _read(file: str | File, problems: Problems) -> str | None:
    try:
        return File(file).read_text(encoding="utf-8")
    except FileNotFoundError:
        problems.add(str(file), "$", "does not exist", "check the path for typing mistakes")
    except IsADirectoryError:
        problems.add(str(file), "$", "is a folder", "name the file inside it")
    except UnicodeDecodeError as error:
        problems.add(str(file), "$", f"is not UTF-8 text: {error.reason}", "save the file as UTF-8")
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        what = f"cannot be read: {_one_line(error)}"
        problems.add(str(file), "$", what, "make it readable, or name another file")
    return None


def _step(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", key) else f"[{json.dumps(key)}]"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2's idea of a float, and without dates."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML wants a class attribute
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":float"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"""^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?
            |[-+]?[0-9]+[eE][-+]?[0-9]+
            |[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$""",
        re.VERBOSE,
    ),
    list("-+.0123456789"),
)


class _Reader:
    """Turns YAML nodes into data and notes lines, duplicate keys and what JSON could not hold."""

    _SCALARS = ("null", "bool", "int", "float", "str")

    def __init__(self, file: str, loader: _Loader, problems: Problems) -> None:
        self.lines: dict[Place, int] = {}
        self._file = file
        self._loader = loader
        self._problems = problems
        self._open: list[yaml.Node] = []  # the nodes around the present one: an alias to one is a loop

    def value(self, node: yaml.Node, place: Place) -> Any:
        if node in self._open:
            raise yaml.MarkedYAMLError(problem="an alias contains itself", problem_mark=node.start_mark)
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, place)
            if isinstance(node, yaml.SequenceNode):
                return self._sequence(node, place)
            return self._scalar(node, place)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        self._note_duplicates(node, place)
        self._loader.flatten_mapping(node)  # resolves `<<: *defaults`
        data = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, place)
            if key is not None:
                inside = (*place, key)
                self.lines[inside] = key_node.start_mark.line + 1
                data[key] = self.value(value_node, inside)
        return data

    def _sequence(self, node: yaml.SequenceNode, place: Place) -> list[Any]:
        for index, item in enumerate(node.value):
            inside = (*place, index)
            self.lines[inside] = item.start_mark.line + 1
        return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]

    def _note_duplicates(self, node: yaml.MappingNode, place: Place) -> None:
        seen: dict[str, int] = {}
        for key_node, _ in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in seen and isinstance(key_node, yaml.ScalarNode):
                what, fix = f"is given twice, first in line {seen[key]}", "keep one of the two"
                self._problems.add(f"{self._file}:{line}", json_path((*place, key)), what, fix)
            seen.setdefault(key, line)

    def _key(self, node: yaml.Node, place: Place) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":str"):
            return str(node.value)
        written = node.value if isinstance(node, yaml.ScalarNode) else "a list or mapping"
        at = f"{self._file}:{node.start_mark.line + 1}"
        fix = "put it in quotes" if isinstance(node, yaml.ScalarNode) else "use a plain word as the key"
        self._problems.add(at, json_path(place), f"has the key {written}, which YAML reads as no text", fix)
        return None

    def _scalar(self, node: yaml.Node, place: Place) -> Any:
        if node.tag.rpartition(":")[2] in self._SCALARS:
            return self._loader.construct_object(node)
        at = f"{self._file}:{node.start_mark.line + 1}"
        fix = "write a text, a number, true, false, a list or a mapping"
        self._problems.add(at, json_path(place), f"has the tag {node.tag}, which means nothing here", fix)
        return None
