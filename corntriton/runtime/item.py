"""An item: what a component gets to see of one request, or of one row of a batched request."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corntriton.runtime.life import is_over
from corntriton.runtime.messages import Call

_NEVER = (0,)


class Item(Mapping[str, Any]):
    """Inputs by name: arrays without batch dimension, lists of them for list inputs; absent ones are missing.

    Attributes:
        sequence: For stateful components: the sequence's id, whether this is its first item, its last.
    """

    __slots__ = ("_call", "_flags", "_slot", "_values", "sequence")

    def __init__(
        self, values: Mapping[str, Any], call: Call, flags: Sequence[int] = _NEVER, slot: int = 0
    ) -> None:
        self._values = values
        self._call = call
        self._flags = flags
        self._slot = slot
        self.sequence = call.sequence

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def cancelled(self) -> bool:
        """Whether nobody waits for the answer any more; cheap enough to ask per token."""
        return self._flags[self._slot] != 0 or is_over(self._call.owner)

    @property
    def time_left_s(self) -> float:
        """Until the request's deadline; negative past it, infinite without one."""
        deadline_ns = self._call.deadline_ns
        return math.inf if deadline_ns is None else (deadline_ns - time.monotonic_ns()) / 1e9
