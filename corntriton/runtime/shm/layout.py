"""What lies where in an arena's file.

    header   magic, version, who, sizes, capacity; two words per reader row: the pid of who holds it, and
             whether it cannot read what lies on the arena's device
    cells    a request each: number, over, nonce          written by the owner
    slots    a tensor each: its ref, and its tag          written by the producer
    claims   a row per reader, a word per slot            written by that reader
    data     up to `max_bytes`, of which `capacity` bytes have memory behind them

All but the data is 64-bit words; positions of words are counted in words from the beginning of the file.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

WORD_BYTES = 8
MAGIC = int.from_bytes(b"corntrit", "little")
VERSION = 1
N_READERS = 256

HEADER_BYTES = 4096

# Positions in the header.
MAGIC_AT, VERSION_AT, PID_AT, HIGH_AT, LOW_AT = 0, 1, 2, 3, 4
N_SLOTS_AT, N_CELLS_AT, MAX_BYTES_AT, CAPACITY_AT = 5, 6, 7, 8
READERS_AT = 64
REFUSALS_AT = READERS_AT + N_READERS

# Positions in a cell. A live request's number is not 0.
CELL_WORDS = 4
NUMBER, OVER, NONCE_HIGH, NONCE_LOW = 0, 1, 2, 3

# Positions in a slot: first the very words of the ref, of which the generation is 0 while the slot is free.
SLOT_WORDS = 32
GENERATION = 5
TAG = 24  # the owner's pid, high, low; the cell; the request's number

_SECTION_WORDS = 8192  # the largest page of any Linux, 64 KiB
_NAME = re.compile(r"corntriton-arena-([1-9][0-9]{0,9})-([0-9a-f]{32})")


class ArenaId(NamedTuple):
    """Names an arena: the process that made it, and 128 random bits in two halves."""

    pid: int
    high: int
    low: int

    @property
    def name(self) -> str:
        """Of its file."""
        return f"corntriton-arena-{self.pid}-{self.high:016x}{self.low:016x}"

    @classmethod
    def parse(cls, name: str) -> ArenaId | None:
        """The inverse of name; None for all other names."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        return cls(int(match[1]), int(match[2][:16], 16), int(match[2][16:], 16))


class Tag(NamedTuple):
    """Names a request: whose it is, its cell in the owner's file, its number."""

    owner: ArenaId
    cell: int
    number: int


@dataclass(frozen=True)
class Layout:
    """Where the sections of a file with these sizes begin.

    Attributes:
        n_slots: Tensors it can hold at once.
        n_cells: Requests it can own at once.
        max_bytes: Of tensors.
    """

    n_slots: int
    n_cells: int
    max_bytes: int

    @cached_property
    def cells_at(self) -> int:
        """The first cell."""
        return _SECTION_WORDS

    @cached_property
    def slots_at(self) -> int:
        """The first slot."""
        return self.cells_at + _sections(self.n_cells * CELL_WORDS)

    @cached_property
    def claims_at(self) -> int:
        """The first reader's row."""
        return self.slots_at + _sections(self.n_slots * SLOT_WORDS)

    @cached_property
    def data_byte(self) -> int:
        """Where the data begins, in bytes."""
        return WORD_BYTES * (self.claims_at + _sections(N_READERS * self.n_slots))

    @property
    def file_bytes(self) -> int:
        """Of the whole file, most of which may be a hole."""
        return self.data_byte + self.max_bytes

    def cell(self, index: int) -> int:
        """Where a cell begins."""
        return self.cells_at + index * CELL_WORDS

    def slot(self, index: int) -> int:
        """Where a slot begins."""
        return self.slots_at + index * SLOT_WORDS

    def claims(self, row: int) -> int:
        """Where a reader's row begins."""
        return self.claims_at + row * self.n_slots


def _sections(words: int) -> int:
    return -(-words // _SECTION_WORDS) * _SECTION_WORDS


@lru_cache(maxsize=16)
def node_of(directory: Path) -> tuple[int, int]:
    """Names the memory behind a directory: who sees the same files of the same kernel has the same node.

    Containers on one machine have one kernel, but each has a /dev/shm of its own.

    Raises:
        OSError: There is no such directory.
    """
    kernel, status = Path("/proc/sys/kernel/random/boot_id").read_text().strip(), directory.stat()
    digest = hashlib.sha256(f"{kernel} {status.st_dev} {status.st_ino}".encode()).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")
