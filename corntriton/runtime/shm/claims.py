"""A reader's claims on the slots of one arena: while a claim stands, nothing else is put into the slot.

    reader                                producer, whose request has ended
      claim = generation                    generation = 0
      fence                                 fence
      generation as in the ref?             any claim of a living reader?
        yes: read, then claim = 0             yes: not yet
        no:  claim = 0, refused               no:  the slot is free

Of two stores before two loads at least one is seen: the reader sees that the tensor is gone, or the
producer sees the claim.
"""

from __future__ import annotations

import threading
from collections import deque

from corntriton.runtime.shm.errors import ArenaFullError
from corntriton.runtime.shm.layout import GENERATION, N_READERS, READERS_AT, REFUSALS_AT, WORD_BYTES
from corntriton.runtime.shm.locks import FIRST_ROW_BYTE
from corntriton.runtime.shm.mapping import reserve
from corntriton.runtime.shm.ordering import fence
from corntriton.runtime.shm.region import Region


class Claims:
    """This process's row in a region. Claims are counted: several threads may read a tensor."""

    def __init__(self, region: Region, pid: int) -> None:
        """Takes a row that no living reader has; it is free again once these claims and the region are gone.

        Raises:
            ArenaFullError: There is none.
        """
        self._file, self._words, self._layout = region.file, region.words, region.layout
        row = next((row for row in range(N_READERS) if self._file.take(FIRST_ROW_BYTE + row)), None)
        if row is None:
            raise ArenaFullError(f"{region.arena.name} has {N_READERS} readers already")
        self._begin = self._layout.claims(row)
        try:
            reserve(self._file, self._begin * WORD_BYTES, self._layout.n_slots * WORD_BYTES)
        except OSError as error:
            self._file.give(FIRST_ROW_BYTE + row)
            raise ArenaFullError(f"no memory to read {region.arena.name}: {error.strerror}") from None
        for slot in range(self._layout.n_slots):  # what a dead reader left
            self._words[self._begin + slot] = 0
        self._refusal = REFUSALS_AT + row
        self._words[self._refusal] = 0
        self._words[READERS_AT + row] = pid
        self._counts: dict[int, int] = {}
        self._lock = threading.Lock()
        self._dropped: deque[int] = deque()

    def take(self, slot: int, generation: int) -> bool:
        """Claims a slot, if this tensor is still in it: until then as many `drop` as `take` are due."""
        with self._lock:
            taken = self._take(slot, generation)
        self._settle()
        return taken

    def drop(self, slot: int) -> None:
        """Gives up a claim; may be called at any point of any thread, as the garbage collector does."""
        if self._file.closed:  # a forked child: the claim is its parent's
            return
        self._dropped.append(slot)
        self._settle()

    def refuse(self) -> None:
        """Tells the producer that this process cannot read what lies on its device."""
        self._words[self._refusal] = 1

    def _take(self, slot: int, generation: int) -> bool:
        count = self._counts.get(slot, 0)
        if not count:
            self._words[self._begin + slot] = generation
            fence()
        if self._words[self._layout.slot(slot) + GENERATION] != generation:
            if not count:
                self._words[self._begin + slot] = 0
            return False
        self._counts[slot] = count + 1
        return True

    def _settle(self) -> None:
        """Does what was dropped meanwhile; whoever holds the lock does it for those that do not get it."""
        while self._dropped and self._lock.acquire(blocking=False):
            try:
                while self._dropped:
                    self._drop(self._dropped.popleft())
            finally:
                self._lock.release()

    def _drop(self, slot: int) -> None:
        count = self._counts.pop(slot) - 1
        if count:
            self._counts[slot] = count
        else:
            fence()  # what was read was read before
            self._words[self._begin + slot] = 0
