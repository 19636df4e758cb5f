"""The producer's slots: what each holds, and which may be used again."""

from __future__ import annotations

import struct
from collections import OrderedDict, deque
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np

from corntriton.runtime.shm.backing import Backing
from corntriton.runtime.shm.layout import (
    GENERATION,
    N_READERS,
    READERS_AT,
    REFUSALS_AT,
    SLOT_WORDS,
    WORD_BYTES,
    Tag,
)
from corntriton.runtime.shm.locks import FIRST_ROW_BYTE
from corntriton.runtime.shm.ordering import fence
from corntriton.runtime.shm.ref import REF_BYTES
from corntriton.runtime.shm.regions import Regions

_TAG_WORDS = struct.Struct("=5Q")
_GENERATION_BYTE = GENERATION * WORD_BYTES
_AFTER_GENERATION_BYTE = _GENERATION_BYTE + WORD_BYTES


class Holder(Protocol):
    """Tells whether somebody still holds memory that was lent: a `weakref.KeyedRef`, or what acts as one."""

    @property
    def key(self) -> int:
        """The memory's offset."""

    def __call__(self) -> object | None:
        """None once nobody does."""


@dataclass(eq=False)
class Slot:
    """A tensor's place.

    Attributes:
        index: In the table.
        generation: Of its tensor.
        offset: Of its memory.
        room_bytes: Of its memory.
        holder: Of the component that asked for the memory; None where nobody did.
    """

    index: int
    generation: int
    offset: int
    room_bytes: int
    holder: Holder | None = None


class Slots:
    """The slots of this process's file. Not for several threads at once.

    A slot is free; or taken, while its tensor is made; or filed under the request that its tensor belongs
    to, until that has ended; or draining, while somebody still reads or writes it; and then free again.
    """

    def __init__(self, backing: Backing, regions: Regions) -> None:
        self._backing = backing
        self._regions = regions
        layout, self._words = backing.layout, backing.words
        begin, end = layout.slots_at, layout.slots_at + layout.n_slots * SLOT_WORDS
        self._bytes = self._words[begin:end].cast("B")
        self._readers = np.frombuffer(self._words[READERS_AT : READERS_AT + N_READERS], np.uint64)
        self._refusals = np.frombuffer(self._words[REFUSALS_AT : REFUSALS_AT + N_READERS], np.uint64)
        self._free = [*range(layout.n_slots - 1, -1, -1)]
        self._generation = 0
        self._filed: OrderedDict[Tag, list[Slot]] = OrderedDict()
        self._draining: deque[Slot] = deque()

    @property
    def any_free(self) -> bool:
        """Whether `take` gives one."""
        return bool(self._free)

    @property
    def any_filed(self) -> bool:
        """Whether there are tensors of requests that lived when they were last looked at."""
        return bool(self._filed)

    @property
    def any_refusal(self) -> bool:
        """Whether a reader has said that it cannot read what lies on the arena's device."""
        return bool(self._refusals.any())

    def take(self, offset: int, room_bytes: int) -> Slot:
        """A free slot for a tensor in this memory."""
        self._generation += 1
        return Slot(self._free.pop(), self._generation, offset, room_bytes)

    def give(self, slot: Slot) -> None:
        """Frees a slot that nobody can name."""
        self._free.append(slot.index)

    def file(self, slot: Slot, packed: bytes, tag: Tag) -> None:
        """Makes the tensor readable, by this ref, until the request ends."""
        begin = slot.index * SLOT_WORDS * WORD_BYTES
        memory, tag_begin = self._bytes, begin + REF_BYTES
        memory[begin : begin + _GENERATION_BYTE] = packed[:_GENERATION_BYTE]
        memory[begin + _AFTER_GENERATION_BYTE : tag_begin] = packed[_AFTER_GENERATION_BYTE:]
        _TAG_WORDS.pack_into(memory, tag_begin, *tag.owner, tag.cell, tag.number)
        self._set_generation(slot, slot.generation)  # last: until now no ref could be read
        self._filed.setdefault(tag, []).append(slot)

    def reclaim(self, n_looks: int, thoroughly: bool) -> list[Slot]:
        """Slots that nobody can name or reads any more, for `give`.

        Args:
            n_looks: How many requests and draining slots to look at, at most.
            thoroughly: Whether to ask also which owners are dead.
        """
        ended = self._take_ended(n_looks, thoroughly)
        for slot in ended:
            self._set_generation(slot, 0)
        ended += [self._draining.popleft() for _ in range(min(n_looks, len(self._draining)))]
        if not ended:
            return []
        fence()
        rows = np.flatnonzero(self._readers).tolist()
        freed = []
        for slot in ended:
            if self._in_use(slot, rows):
                self._draining.append(slot)
            else:
                freed.append(slot)
        return freed

    def _take_ended(self, n_looks: int, thoroughly: bool) -> list[Slot]:
        tags = [*islice(self._filed, n_looks)]
        owners = {tag.owner for tag in tags} if thoroughly else set()
        dead = {owner for owner in owners if not self._regions.lives(owner)}
        ended = []
        for tag in tags:
            if tag.owner in dead or not self._regions.carries(tag):
                ended += self._filed.pop(tag)
            else:
                self._filed.move_to_end(tag)  # so that the next look is at others
        return ended

    def _in_use(self, slot: Slot, rows: list[int]) -> bool:
        if slot.holder is not None and slot.holder() is not None:
            return True
        return any(self._claimed(slot, row) for row in rows)

    def _claimed(self, slot: Slot, row: int) -> bool:
        claim = self._words[self._backing.layout.claims(row) + slot.index]
        return claim == slot.generation and self._backing.taken(FIRST_ROW_BYTE + row)

    def _set_generation(self, slot: Slot, generation: int) -> None:
        self._words[self._backing.layout.slot(slot.index) + GENERATION] = generation
