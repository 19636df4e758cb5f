"""Another process's arena file, as this process sees it."""

from __future__ import annotations

import mmap
import os
import stat
import threading
from pathlib import Path

from corntriton.runtime.shm.layout import (
    CAPACITY_AT,
    CELL_WORDS,
    HEADER_BYTES,
    HIGH_AT,
    LOW_AT,
    MAGIC,
    MAGIC_AT,
    MAX_BYTES_AT,
    N_CELLS_AT,
    N_SLOTS_AT,
    NUMBER,
    PID_AT,
    VERSION,
    VERSION_AT,
    ArenaId,
    Layout,
    Tag,
)
from corntriton.runtime.shm.locks import LIFE_BYTE, LockFile
from corntriton.runtime.shm.mapping import map_file, populate


class Region:
    """Maps a file once, however much it grows.

    Attributes:
        arena: Whose it is.
        file: Open, for locks.
        layout: Of the file.
        words: All of it but the data.
    """

    def __init__(self, directory: Path, arena: ArenaId) -> None:
        """Opens the file.

        Raises:
            OSError: There is none, or others than this user may open it.
            ValueError: It is not what its name says.
        """
        self.arena = arena
        self.file = LockFile(str(directory / arena.name))
        self.layout = _read_layout(self.file, arena)
        self.words = memoryview(map_file(self.file, 0, self.layout.data_byte, writable=True)).cast("Q")
        self._data: mmap.mmap | None = None
        self._populated_bytes = 0
        self._growing = threading.Lock()

    @property
    def alive(self) -> bool:
        """Whether the process that made the file still runs, and wants the file."""
        return self.file.taken(LIFE_BYTE)

    @property
    def capacity_bytes(self) -> int:
        """How much of the data has memory behind it."""
        return min(self.words[CAPACITY_AT], self.layout.max_bytes)

    def cell(self, index: int) -> list[int] | None:
        """The words of a cell, or None where there is none of this index."""
        if index >= self.layout.n_cells:
            return None
        begin = self.layout.cell(index)
        return self.words[begin : begin + CELL_WORDS].tolist()

    def carries(self, tag: Tag) -> bool:
        """Whether the request lives, for all that its owner has written; the owner may have died."""
        return self.words[self.layout.cell(tag.cell) + NUMBER] == tag.number

    def data(self, end: int) -> mmap.mmap:
        """The data, with its first `end` bytes mapped at least; nobody can write through it."""
        if self._data is None or end > self._populated_bytes:
            return self._grow()
        return self._data

    def _grow(self) -> mmap.mmap:
        with self._growing:
            if self._data is None:
                layout = self.layout
                self._data = map_file(self.file, layout.data_byte, layout.max_bytes, writable=False)
            capacity_bytes = self.capacity_bytes
            populate(self._data, self._populated_bytes, capacity_bytes, writable=False)
            self._populated_bytes = capacity_bytes
            return self._data


def _read_layout(file: LockFile, arena: ArenaId) -> Layout:
    status = os.fstat(file.fd)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise PermissionError(f"{arena.name} is not private to this user")
    header = os.pread(file.fd, HEADER_BYTES, 0)
    if len(header) < HEADER_BYTES:
        raise ValueError(f"{arena.name} is cut short")
    words = memoryview(header).cast("Q")
    identity = (words[PID_AT], words[HIGH_AT], words[LOW_AT])
    if (words[MAGIC_AT], words[VERSION_AT]) != (MAGIC, VERSION) or identity != arena:
        raise ValueError(f"{arena.name} is not the arena of its name")
    layout = Layout(words[N_SLOTS_AT], words[N_CELLS_AT], words[MAX_BYTES_AT])
    if layout.file_bytes != status.st_size:
        raise ValueError(f"{arena.name} has another size than its header says")
    return layout
