"""The chunks of one consumer of one replay: pieces of a stream go in, chunks come out, one at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol


class Cutter(Protocol):
    """Cuts a stream of values into chunks."""

    def feed(self, piece: Any) -> Iterable[Any]:
        """Takes a piece and gives the chunks that are now complete."""

    def flush(self) -> Iterable[Any]:
        """Gives the rest, once there are no more pieces."""


@dataclass(frozen=True)
class Chunk:
    """One chunk for the consumer.

    Attributes:
        value: What to call it with.
        first: It is the consumer's first in this replay.
        last: It is known to be its last; only a pump that holds back knows.
    """

    value: Any
    first: bool
    last: bool


class Pump:
    """Hands out chunks in order, the next one only when the one before is done; the replay's lock guards it.

    Args:
        cutter: Cuts the producer's pieces.
        hold_back: Keep each chunk until the next one or the end is there, so that the last is known
            as such: for consumers that are told the end of their sequence.
    """

    def __init__(self, cutter: Cutter, hold_back: bool) -> None:
        self._cutter = cutter
        self._hold_back = hold_back
        self._chunks: deque[Any] = deque()
        self._open = False
        self._busy = False
        self._ended = False
        self._begun = False

    def open(self) -> None:
        """The consumer's other inputs are there: chunks may be handed out."""
        self._open = True

    def push(self, value: Any) -> None:
        """Takes a piece from the producer."""
        self._chunks.extend(self._cutter.feed(value))

    def end(self) -> None:
        """No more pieces come."""
        self._chunks.extend(self._cutter.flush())
        self._ended = True

    def done(self) -> None:
        """The consumer is through with the chunk it was given."""
        self._busy = False

    @property
    def exhausted(self) -> bool:
        """Every chunk there will be has been handed out and is done."""
        return self._open and self._ended and not self._busy and not self._chunks

    def next(self) -> Chunk | None:
        """The next chunk, when the consumer may have it now."""
        if not self._open or self._busy or not self._chunks:
            return None
        if self._hold_back and not self._ended and len(self._chunks) == 1:
            return None
        value = self._chunks.popleft()
        self._busy = True
        chunk = Chunk(value, first=not self._begun, last=self._hold_back and self._ended and not self._chunks)
        self._begun = True
        return chunk
