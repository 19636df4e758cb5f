"""This process's own arena file: made, grown, unlinked."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from corntriton.runtime.shm.errors import ArenaFullError
from corntriton.runtime.shm.layout import (
    CAPACITY_AT,
    HIGH_AT,
    LOW_AT,
    MAGIC,
    MAGIC_AT,
    MAX_BYTES_AT,
    N_CELLS_AT,
    N_SLOTS_AT,
    PID_AT,
    VERSION,
    VERSION_AT,
    WORD_BYTES,
    ArenaId,
    Layout,
)
from corntriton.runtime.shm.locks import LIFE_BYTE, LockFile
from corntriton.runtime.shm.mapping import map_file, populate, reserve
from corntriton.runtime.shm.regions import DIRECTORY


class Backing:
    """The file, locked as long as the process lives.

    Attributes:
        arena: Its name.
        layout: Of the file.
        words: All of it but the data.
        data: All of it that may ever be; only the first `capacity_bytes` may be touched.
        capacity_bytes: How much has memory behind it.
    """

    def __init__(self, layout: Layout, directory: Path = DIRECTORY) -> None:
        """Makes the file.

        Raises:
            ArenaFullError: There is not enough memory in the directory for an arena without tensors.
        """
        self.layout = layout
        self._directory = directory
        self.arena, self._file = _make(directory)
        try:
            os.ftruncate(self._file.fd, layout.file_bytes)
            reserve(self._file, 0, layout.claims_at * WORD_BYTES)
        except OSError as error:
            self.unlink()
            raise ArenaFullError(f"no memory for an arena in {directory}: {error.strerror}") from None
        self._memory = map_file(self._file, 0, layout.file_bytes, writable=True)
        self.words = memoryview(self._memory)[: layout.data_byte].cast("Q")
        self.data = memoryview(self._memory)[layout.data_byte :]
        self.capacity_bytes = 0
        self._write_header()

    def grow(self, nbytes: int) -> None:
        """Puts memory behind so many bytes more.

        Raises:
            OSError: There is not enough.
        """
        begin, end = self.layout.data_byte + self.capacity_bytes, self.capacity_bytes + nbytes
        reserve(self._file, begin, nbytes)
        populate(self._memory, begin, self.layout.data_byte + end, writable=True)
        self.words[CAPACITY_AT] = self.capacity_bytes = end

    @property
    def max_bytes(self) -> int:
        """How far it may grow."""
        return self.layout.max_bytes

    def unlink(self) -> None:
        """Takes the file's name away; who has mapped it keeps it."""
        if not self._file.closed:
            with suppress(FileNotFoundError):
                os.unlink(self._directory / self.arena.name)

    def abandon(self) -> None:
        """Ends the lock: to all others, the process is dead."""
        self._file.close()

    @property
    def abandoned(self) -> bool:
        """The lock has ended, or this is a forked child and the file its parent's."""
        return self._file.closed

    def taken(self, byte: int) -> bool:
        """Whether the process that locked this byte still runs."""
        return self._file.taken(byte)

    def _write_header(self) -> None:
        words, layout = self.words, self.layout
        words[VERSION_AT] = VERSION
        words[PID_AT], words[HIGH_AT], words[LOW_AT] = self.arena
        words[N_SLOTS_AT], words[N_CELLS_AT] = layout.n_slots, layout.n_cells
        words[MAX_BYTES_AT] = layout.max_bytes
        words[MAGIC_AT] = MAGIC  # last: whoever sees it sees the rest


def _make(directory: Path) -> tuple[ArenaId, LockFile]:
    """A new file, locked; once more if somebody took it for a dead process's before it was."""
    while True:
        arena = ArenaId(os.getpid(), secrets.randbits(64), secrets.randbits(64))
        path = str(directory / arena.name)
        file = LockFile(path, os.O_CREAT | os.O_EXCL)
        os.fchmod(file.fd, 0o600)
        if file.take(LIFE_BYTE) and not file.unlinked:
            return arena, file
        with suppress(FileNotFoundError):
            os.unlink(path)
