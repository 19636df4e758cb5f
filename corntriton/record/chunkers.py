"""Cuts values into chunks: text into sentences or words, arrays along their first dimension.

Where the cuts fall depends on the value alone, never on the pieces in which it arrived.
"""

from __future__ import annotations

import codecs
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

# A sentence ends at a full stop and the like before white space, at an ideographic one before anything
# that does not belong to it, and before an empty line. One character beyond the end decides.
_SENTENCE_END = re.compile(
    r"""[.!?…]+["'”’»)\]]*(?=\s)"""
    r"""|[。！？]+[」』”’）]*(?=[^。！？」』”’）])"""
    r"""|\S(?=[^\S\n]*\n\s*\n)"""
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'])(?:Mr|Mrs|Ms|Dr|Prof|St|No|vs|cf|e\.g|i\.e|approx)\.$", re.IGNORECASE
)
_WORD = re.compile(r"\s*\S+(?=\s)")


class Chunker(Protocol):
    """Takes the pieces of a value as they arrive; gives the chunks that are complete."""

    def feed(self, piece: Any) -> list[Any]:
        """Takes the next piece and gives the chunks that it completed."""

    def flush(self) -> list[Any]:
        """Ends the value and gives what is left, at most one chunk."""


class _Text(ABC):
    """Buffers text; a subclass says where the first chunk of the buffer ends.

    The chunks put together are the text, less the white space at its end.
    """

    def __init__(self) -> None:
        self._rest = ""
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode

    def feed(self, piece: str | bytes) -> list[str]:
        """Takes text, or UTF-8 bytes that may end inside a character."""
        self._rest += piece if isinstance(piece, str) else self._decode(piece)
        return self._complete()

    def flush(self) -> list[str]:
        """Ends the text."""
        self._rest += self._decode(b"", True)
        chunks = [*self._complete(), self._rest.rstrip()]
        self._rest = ""
        return [chunk for chunk in chunks if chunk]

    def _complete(self) -> list[str]:
        chunks = []
        while end := self._end():
            chunks.append(self._rest[:end])
            self._rest = self._rest[end:]
        return chunks

    @abstractmethod
    def _end(self) -> int:
        """Where the first chunk of the buffer ends; 0 when that is not known yet."""


class Sentences(_Text):
    """One sentence per chunk."""

    def _end(self) -> int:
        for match in _SENTENCE_END.finditer(self._rest):
            if not _ABBREVIATION.search(self._rest, 0, match.end()):
                return match.end()
        return 0


class Words(_Text):
    """A number of words, which white space separates, per chunk."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def _end(self) -> int:
        end = 0
        for _ in range(self._size):
            match = _WORD.match(self._rest, end)
            if match is None:
                return 0
            end = match.end()
        return end


class Samples:
    """A number of rows of an array per chunk."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._rest: Any = None

    def feed(self, piece: Any) -> list[Any]:
        """Takes an array; its other dimensions are those of the pieces before."""
        import numpy as np  # the only chunker that needs it

        piece = np.asarray(piece)
        rest = piece if self._rest is None else np.concatenate([self._rest, piece])
        whole = len(rest) - len(rest) % self._size
        self._rest = rest[whole:]
        return [rest[start : start + self._size] for start in range(0, whole, self._size)]

    def flush(self) -> list[Any]:
        """Ends the array."""
        rest, self._rest = self._rest, None
        return [rest] if rest is not None and len(rest) else []


@dataclass(frozen=True)
class ChunkerKind:
    """A chunker by its name in a flow.

    Attributes:
        text: It cuts text; else it cuts arrays.
        start: Gives a chunker for one value.
    """

    text: bool
    start: Callable[[], Chunker]


def parse_chunker(by: str) -> ChunkerKind:
    """Reads the name of a chunker: `sentence`, `tokens:N`, `samples:N`.

    Raises:
        ValueError: There is no such chunker.
    """
    if by == "sentence":
        return ChunkerKind(True, Sentences)
    name, _, number = by.partition(":") if isinstance(by, str) else ("", "", "")
    if name in ("tokens", "samples") and number.isdecimal() and int(number) > 0:
        size = int(number)
        return (
            ChunkerKind(True, lambda: Words(size))
            if name == "tokens"
            else ChunkerKind(False, lambda: Samples(size))
        )
    raise ValueError(f"there is no chunker `{by}`")
