"""Turns a Document into a frozen pydantic object, or into problems that say what to write instead."""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from corntriton.errors import Problems
from corntriton.spec.files import Document, Place


class Frozen(BaseModel):
    """Base of what a user writes: immutable, no unknown keys; fields' docstrings go into the schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


Spec = TypeVar("Spec", bound=BaseModel)


def fault(what: str, fix: str) -> PydanticCustomError:
    """The error that a pydantic validator of ours raises; what and fix are those of the problem."""
    return PydanticCustomError("fault", "{what}; To fix: {fix}", {"what": what, "fix": fix})


def validate(model: type[Spec], document: Document, problems: Problems) -> Spec | None:
    """The document as a `model`; None, with all its problems noted, where it is not one.

    Texts are not taken for numbers or the other way round: what a file means does not depend on quotes.
    """
    spec, errors = parse(model, document.data)
    for error in errors:
        note_error(error, model, document, problems)
    return spec


def parse(model: type[Spec], data: Any) -> tuple[Spec | None, list[ErrorDetails]]:
    """Validates plain data; the object or None, and pydantic's errors."""
    try:
        return model.model_validate_json(json.dumps(data), strict=True), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def place_of(error: ErrorDetails, data: Any) -> Place:
    """Where in the data an error lies; pydantic's location also names union members and key checks."""
    place: list[str | int] = []
    for key in error["loc"]:
        if _holds(data, key):
            data = data[key]
            place.append(key)
        elif error["type"] == "missing" and isinstance(data, Mapping):
            return (*place, key)
        else:
            break
    return tuple(place)


def note_error(error: ErrorDetails, model: type[BaseModel], document: Document, problems: Problems) -> None:
    """Adds pydantic's error as a problem."""
    place = place_of(error, document.data)
    schema = _schema(model)
    if error["type"] == "fault":
        what, fix = error["ctx"]["what"], error["ctx"]["fix"]
    elif error["type"] == "value_error":
        what, _, fix = str(error["ctx"]["error"]).partition("; To fix: ")
        fix = fix or "change one of the values here"
    elif error["type"] == "missing":
        what, fix = "is missing", f"add `{place[-1]}`: {schema.wanted(place)}"
    elif error["type"] == "extra_forbidden":
        what, fix = "is not a known key", _instead(str(place[-1]), schema.keys(place[:-1]))
    else:
        what = f"is {shown(document.get(place))}, but has to be {schema.wanted(place)}"
        fix = f"write {schema.wanted(place)}"
    document.note(problems, place, what, fix)


def did_you_mean(wrong: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    close = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def choose(wrong: str, known: Iterable[str], none: str) -> str:
    """A fix for an unknown name: the probable one, else all that there are; `none` where there are none."""
    names = list(known)
    meant = did_you_mean(wrong, names)
    if meant:
        return f"rename it to `{meant}`"
    return f"use one of {', '.join(names)}" if names else none


def shown(value: Any) -> str:
    """A value as a message shows it: short, on one line."""
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _holds(data: Any, key: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(key, int) and key < len(data)
    return isinstance(data, Mapping) and key in data


def _instead(wrong: str, known: Iterable[str]) -> str:
    names = sorted(known)
    meant = did_you_mean(wrong, names)
    if meant:
        return f"rename it to `{meant}`"
    return f"remove it; known keys are {', '.join(names)}" if names else "remove it"


@functools.lru_cache
def _schema(model: type[BaseModel]) -> _Schema:
    return _Schema(model)


class _Schema:
    """Answers from a type's JSON Schema what is wanted at a place."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._root = model.model_json_schema()

    def keys(self, place: Place) -> set[str]:
        """The keys that may appear at a place."""
        return {key for node in self._nodes(place) for key in node.get("properties", {})}

    def wanted(self, place: Place) -> str:
        """In words, what may be written at a place: `a whole number, at least 1`."""
        words = [_in_words(node) for node in self._nodes(place)]
        return " or ".join(dict.fromkeys(words)) or "something else"

    def _nodes(self, place: Place) -> list[dict[str, Any]]:
        nodes = list(self._members(self._root))
        for key in place:
            nodes = [
                member for node in nodes for child in _children(node, key) for member in self._members(child)
            ]
        return nodes

    def _members(self, node: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if "$ref" in node:
            yield from self._members(self._root["$defs"][node["$ref"].rpartition("/")[2]])
        elif "anyOf" in node or "oneOf" in node:
            for member in node.get("anyOf", node.get("oneOf")):
                yield from self._members(member)
        else:
            yield dict(node)


def _children(node: Mapping[str, Any], key: str | int) -> Iterator[Mapping[str, Any]]:
    if isinstance(key, int):
        prefix = node.get("prefixItems", [])
        child = prefix[key] if key < len(prefix) else node.get("items")
    else:
        patterns = list(node.get("patternProperties", {}).values())
        child = node.get("properties", {}).get(key) or next(iter(patterns), node.get("additionalProperties"))
    if isinstance(child, Mapping):
        yield child


_WORDS = {
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "a mapping",
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
}


def _in_words(node: Mapping[str, Any]) -> str:
    if "enum" in node:
        return "one of " + ", ".join(str(value) for value in node["enum"])
    if "const" in node:
        return str(node["const"])
    words = _WORDS.get(node.get("type", ""), "something else")
    if "examples" in node:
        return f"{words} such as {json.dumps(node['examples'][0])}"
    limits = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
        "minLength": "of length at least",
        "minItems": "with at least",
        "minProperties": "with at least",
    }
    said = [f"{word} {node[limit]}" for limit, word in limits.items() if limit in node]
    return ", ".join([words, *said])
