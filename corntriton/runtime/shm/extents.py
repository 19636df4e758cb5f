"""Free stretches of a block of memory: taken from the front, given back and joined."""

from __future__ import annotations

from bisect import bisect_left


class Extents:
    """Which bytes are free: stretches in order, never two that touch.

    Attributes:
        free_bytes: In all of them.
    """

    def __init__(self) -> None:
        self._begins: list[int] = []
        self._ends: list[int] = []
        self.free_bytes = 0

    def take(self, nbytes: int) -> int | None:
        """The offset of so many bytes, or None where no stretch is long enough.

        First fit: what was given back last near the front, and is still in the processor's cache, goes first.
        """
        for index, (begin, end) in enumerate(zip(self._begins, self._ends, strict=True)):
            if end - begin < nbytes:
                continue
            if end - begin == nbytes:
                del self._begins[index], self._ends[index]
            else:
                self._begins[index] = begin + nbytes
            self.free_bytes -= nbytes
            return begin
        return None

    def give(self, begin: int, nbytes: int) -> None:
        """Frees bytes that are not free."""
        end, index = begin + nbytes, bisect_left(self._begins, begin)
        joins_left = index > 0 and self._ends[index - 1] == begin
        joins_right = index < len(self._begins) and self._begins[index] == end
        if joins_left and joins_right:
            self._ends[index - 1] = self._ends[index]
            del self._begins[index], self._ends[index]
        elif joins_left:
            self._ends[index - 1] = end
        elif joins_right:
            self._begins[index] = begin
        else:
            self._begins.insert(index, begin)
            self._ends.insert(index, end)
        self.free_bytes += nbytes
