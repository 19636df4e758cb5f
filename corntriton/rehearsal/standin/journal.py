"""When each item began and ended at a stand-in: rows in, a file that several processes never share out."""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path
from typing import NamedTuple

# Little-endian, no padding: request, step, site, came, began, ended, told, batch, busy.
_ROW = struct.Struct("<IHHddddId")


class Row(NamedTuple):
    """One item; times are readings of time.monotonic, which all processes of a machine share.

    Attributes:
        request: Its number.
        step: Number of the invocation within its request type.
        site: Number of the executor.
        came_s: When the stand-in was called with it.
        began_s: When the emulated device began with it.
        ended_s: When the emulated device was through.
        told_s: When the stand-in's own thread went on: later, by what this machine took to wake it.
        batch: Items in its batch; of an llm, requests inside when it came.
        busy_s: Seconds that the instance's devices had worked by then.
    """

    request: int
    step: int
    site: int
    came_s: float
    began_s: float
    ended_s: float
    told_s: float
    batch: int
    busy_s: float


class Journal:
    """Appends rows; those of one process go to one file."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / f"{os.getpid()}.rows").open("ab", buffering=0)
        self._lock = threading.Lock()

    def note(self, rows: list[Row]) -> None:
        """Writes rows at once: the process may be killed at any time."""
        with self._lock:
            self._file.write(b"".join([_ROW.pack(*row) for row in rows]))


def read_rows(folder: Path) -> dict[str, list[Row]]:
    """The rows of each process, in the order in which they were written."""
    return {
        file.name: [Row(*values) for values in _ROW.iter_unpack(_whole(file.read_bytes()))]
        for file in sorted(folder.glob("*.rows"))
    }


def _whole(data: bytes) -> bytes:
    """Without a row that is being written just now."""
    return data[: len(data) - len(data) % _ROW.size]
