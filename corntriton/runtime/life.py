"""Tells components that the request they work for is over: a cell of shared memory per live request.

Triton's BLS cannot cancel what it has asked for: unary calls have no way at all, and the response
iterators of 24.10 have none yet. So an orchestrator keeps one cell per request it holds, and every
call it makes names the cell:

    orchestrator: board.enter() -> "pid/fd/nonce/cell/number" ─parameter─> component host: is_over(text)
                  board.leave(text)  writes the cell  ════════shared memory════════>  sees it at once

The memory is a memfd, opened through /proc: nothing is left in /dev/shm, whoever dies.
"""

from __future__ import annotations

import mmap
import os
import secrets
import struct
import threading

PARAMETER = "corntriton_life"
_CELL = struct.Struct("<Q")
_boards: dict[str, mmap.mmap | None] = {}


class LifeBoard:
    """The cells of one orchestrator process; the first cell holds the board's nonce."""

    def __init__(self, requests: int) -> None:
        self._fd = os.memfd_create("corntriton-life", os.MFD_CLOEXEC)
        os.ftruncate(self._fd, (requests + 1) * _CELL.size)
        self._cells = mmap.mmap(self._fd, (requests + 1) * _CELL.size)
        nonce = secrets.randbits(63)
        _CELL.pack_into(self._cells, 0, nonce)
        self._prefix = f"{os.getpid()}/{self._fd}/{nonce}"
        self._free = list(range(requests, 0, -1))
        self._number = 0
        self._lock = threading.Lock()

    def enter(self) -> str:
        """Takes a cell for a request and gives the text that names it; at most `requests` at once."""
        with self._lock:
            cell = self._free.pop()
            self._number += 1
            number = self._number
        _CELL.pack_into(self._cells, cell * _CELL.size, number)
        return f"{self._prefix}/{cell}/{number}"

    def leave(self, text: str) -> None:
        """Ends the request's life; its cell may be another request's next."""
        cell = int(text.split("/")[3])
        _CELL.pack_into(self._cells, cell * _CELL.size, 0)
        with self._lock:
            self._free.append(cell)

    def close(self) -> None:
        """Gives the memory back; readers that mapped it keep what they have."""
        self._cells.close()
        os.close(self._fd)


def is_over(text: str | None) -> bool:
    """Whether the request that the text names has ended; False where that cannot be known."""
    if not text:
        return False
    prefix, cell, number = text.rsplit("/", 2)
    cells = _boards.get(prefix)
    if cells is None:
        if prefix in _boards:
            return False
        cells = _boards[prefix] = _open(prefix)
        if cells is None:
            return False
    value: int = _CELL.unpack_from(cells, int(cell) * _CELL.size)[0]
    return value != int(number)


def _open(prefix: str) -> mmap.mmap | None:
    """Maps another process's board, or gives None: it died, or lives in another process namespace."""
    pid, fd, nonce = prefix.split("/")
    try:
        with open(f"/proc/{pid}/fd/{fd}", "rb") as file:
            cells = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    if _CELL.unpack_from(cells, 0)[0] != int(nonce):
        return None
    return cells
