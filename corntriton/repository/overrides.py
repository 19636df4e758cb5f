"""Merges a component's `config:` into a generated config.pbtxt and keeps the comments of the rest."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, MutableSequence
from typing import Any

from google.protobuf import json_format

from corntriton.repository import pbtxt
from corntriton.spec.files import Spot
from corntriton.spec.validation import choose

_HEADING = "\n# From `config:` in model.yaml, which has the last word.\n"


def merge(message: Any, data: Mapping[str, Any], spot: Spot) -> None:
    """Merges plain data into a protobuf message.

    A message merges field by field and a map key by key; a list or a scalar replaces what was there;
    null removes it.

    Args:
        message: Changed in place.
        data: Fields by the names that config.pbtxt has.
        spot: The place of the data; takes note of unknown fields, values of the wrong type, and two
            fields of which a message can have only one.
    """
    chosen: dict[str, str] = {}
    for name, value in data.items():
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            known = sorted(message.DESCRIPTOR.fields_by_name)
            what = f"is not a field of Triton's {message.DESCRIPTOR.name}"
            spot.at(name).note(what, choose(name, known, "remove it"))
            continue
        group = field.containing_oneof
        if group is not None and chosen.setdefault(group.name, name) != name:
            what = f"cannot be there together with {chosen[group.name]}"
            spot.at(name).note(what, f"keep one of the two: a {message.DESCRIPTOR.name} has one {group.name}")
            continue
        _merge_field(message, field, value, spot.at(name))


def override(text: str, data: Mapping[str, Any], spot: Spot) -> str:
    """The text of a config in which the fields of `config:` are merged; comments of other fields remain.

    Args:
        text: A generated config that parses.
        data: What the component says under `config`.
        spot: Its place.
    """
    if not data:
        return text
    config = pbtxt.parse(text)
    merge(config, data, spot)
    unchanged = [
        field for field in pbtxt.fields(text) if field.name not in data and not _displaced(config, field)
    ]
    for field in unchanged:
        if field.name:
            config.ClearField(field.name)
    return "".join(field.text for field in unchanged).rstrip("\n") + "\n" + _HEADING + pbtxt.written(config)


def _displaced(config: Any, field: pbtxt.Field) -> bool:
    """Whether a scheduler of the user's stands in the place of the generated one."""
    schedulers = config.DESCRIPTOR.oneofs_by_name["scheduling_choice"].fields
    return field.name in {each.name for each in schedulers} and not config.HasField(field.name)


def _merge_field(message: Any, field: Any, value: Any, spot: Spot) -> None:
    there: Any = getattr(message, field.name)
    if value is None:
        message.ClearField(field.name)
    elif isinstance(there, MutableMapping) and isinstance(value, Mapping):
        _merge_map(message, field, value, spot)
    elif field.message_type is None or isinstance(there, MutableMapping):
        message.ClearField(field.name)
        _set(message, field, value, spot)
    elif not isinstance(there, MutableSequence):
        there.SetInParent()
        _merge_message(there, value, spot)
    elif isinstance(value, list):
        message.ClearField(field.name)
        for index, item in enumerate(value):
            _merge_message(getattr(message, field.name).add(), item, spot.at(index))
    else:
        spot.note(
            f"is not a list, but Triton has a list of {field.message_type.name}", "write a list of mappings"
        )


def _merge_message(message: Any, value: Any, spot: Spot) -> None:
    if isinstance(value, Mapping):
        merge(message, value, spot)
    else:
        known = ", ".join(sorted(message.DESCRIPTOR.fields_by_name))
        spot.note(
            f"is {value!r}, but Triton has a {message.DESCRIPTOR.name} there", f"write a mapping of {known}"
        )


def _merge_map(message: Any, field: Any, value: Mapping[str, Any], spot: Spot) -> None:
    key_field, value_field = (field.message_type.fields_by_name[part] for part in ("key", "value"))
    texts = key_field.cpp_type == key_field.CPPTYPE_STRING
    for key, item in value.items():
        if not texts and not key.isdigit():
            spot.at(key).note(f"{key!r} is not a number, as Triton has it there", "write a number in quotes")
        elif value_field.message_type is None:
            _set(message, field, {key: item}, spot.at(key))
        else:
            entries = getattr(message, field.name)
            _merge_message(entries[key if texts else int(key)], item, spot.at(key))


def _set(message: Any, field: Any, value: Any, spot: Spot) -> None:
    try:
        json_format.ParseDict({field.name: value}, message)
    except json_format.ParseError as error:
        spot.note(*_wrong_value(field, value, error))


def _wrong_value(field: Any, value: Any, error: Exception) -> tuple[str, str]:
    if field.enum_type is not None:
        known = [item.name for item in field.enum_type.values]
        return f"{value!r} is not a {field.enum_type.name}", choose(str(value), known, "remove it")
    reason = str(error).rpartition(": ")[2].rstrip(".")
    return f"does not fit: {reason}", "write a value of the type that Triton's ModelConfig has there"
