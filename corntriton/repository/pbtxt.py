"""Text of a config.pbtxt: parsed by Triton's own protobuf, and cut into fields that keep their comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import text_encoding, text_format
from tritonclient.grpc import model_config_pb2

ModelConfig = Any  # model_config_pb2.ModelConfig, for which no types are published
ParseError = text_format.ParseError

_NAME = re.compile(r"[A-Za-z_]\w*")
# A string, a comment, a bracket, or a run of what is none of these.
_TOKEN = re.compile(r"""\s+|#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{}<>\[\]]|[^\s#"'{}<>\[\]]+""")


@dataclass(frozen=True)
class Field:
    """A top-level field as it is written, with the comments and blank lines before it.

    Attributes:
        name: The field's name; empty for comments that no field follows.
        text: All of it, up to the end of its last line.
    """

    name: str
    text: str


def empty() -> ModelConfig:
    """A ModelConfig without fields."""
    return model_config_pb2.ModelConfig()


def parse(text: str) -> ModelConfig:
    """The config that a text says.

    Raises:
        ParseError: It is not a ModelConfig: unknown fields or enum values, wrong types, two schedulers.
    """
    return text_format.Parse(text, empty())


def written(config: ModelConfig) -> str:
    """The text of a config, the same for equal configs."""
    return str(text_format.MessageToString(config, as_utf8=True, use_index_order=False))


def quote(text: str) -> str:
    """A string literal."""
    return f'"{text_encoding.CEscape(text, as_utf8=True)}"'


def fields(text: str) -> Iterator[Field]:
    """Cuts a text that parses into its top-level fields, nothing lost: the texts joined are the text."""
    start = last_end = depth = 0
    name = ""
    for token in _TOKEN.finditer(text):
        word = token.group()
        if word[0].isspace() or word[0] == "#":
            continue
        is_value = text[:last_end].endswith(":")
        if depth == 0 and not is_value and (found := _NAME.match(word)):
            if name:
                end = min(_next_line(text, last_end), token.start())
                yield Field(name, text[start:end])
                start = end
            name = found.group()
        depth += (word in "{<[") - (word in "}>]")
        last_end = token.end()
    end = _next_line(text, last_end)
    if name:
        yield Field(name, text[start:end])
    if name and end < len(text):
        yield Field("", text[end:])


def _next_line(text: str, after: int) -> int:
    newline = text.find("\n", after)
    return len(text) if newline < 0 else newline + 1
