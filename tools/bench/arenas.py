"""Looks into arenas from outside: which requests live, what is held for them, what is only not reused yet."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corntriton.runtime.shm.layout import (
    CAPACITY_AT,
    CELL_WORDS,
    GENERATION,
    HEADER_BYTES,
    N_CELLS_AT,
    N_READERS,
    N_SLOTS_AT,
    NUMBER,
    READERS_AT,
    SLOT_WORDS,
    TAG,
    ArenaId,
    Layout,
)

_NBYTES = 7  # the word of a slot, as of a ref, that says how many bytes its tensor has


@dataclass(frozen=True)
class Holdings:
    """What one arena holds.

    Attributes:
        pid: Of its process.
        capacity_bytes: With memory behind them.
        live_requests: That its process owns.
        held_bytes: Of tensors whose request lives, wherever its owner is.
        ended_bytes: Of tensors whose request has ended: free as soon as somebody asks for memory.
        claims: On slots, of readers that live.
    """

    pid: int
    capacity_bytes: int
    live_requests: int
    held_bytes: int
    ended_bytes: int
    claims: int


def look_into(paths: Iterable[Path], processes: Path = Path("/proc")) -> list[Holdings]:
    """All of these arenas; files that are gone are left out.

    Args:
        paths: The arenas' files.
        processes: The folder of processes, by the ids that these know each other by.
    """
    arenas = {path.name: words for path in paths if (words := _words(path)) is not None}
    return [_holdings(name, arenas, processes) for name in sorted(arenas)]


def _words(path: Path) -> np.ndarray | None:
    """All of the file before the data."""
    try:
        with path.open("rb") as file:
            header = np.frombuffer(file.read(HEADER_BYTES), np.uint64)
            layout = _layout(header)
            return np.frombuffer(
                mmap.mmap(file.fileno(), layout.data_byte, access=mmap.ACCESS_READ), np.uint64
            )
    except FileNotFoundError:
        return None


def _layout(words: np.ndarray) -> Layout:
    return Layout(int(words[N_SLOTS_AT]), int(words[N_CELLS_AT]), 0)


def _holdings(name: str, arenas: dict[str, np.ndarray], processes: Path) -> Holdings:
    words, arena = arenas[name], ArenaId.parse(name)
    assert arena is not None  # by the caller
    layout = _layout(words)
    slots = words[layout.slots_at : layout.slots_at + layout.n_slots * SLOT_WORDS].reshape(-1, SLOT_WORDS)
    filed = slots[slots[:, GENERATION] != 0]
    held = [_lives(slot[TAG : TAG + 5], arenas) for slot in filed]
    sizes = filed[:, _NBYTES].astype(np.int64)
    taken = np.flatnonzero(words[READERS_AT : READERS_AT + N_READERS])
    rows = [row for row in map(int, taken) if (processes / str(words[READERS_AT + row])).exists()]
    claims = (words[layout.claims(row) : layout.claims(row) + layout.n_slots] for row in rows)
    return Holdings(
        pid=arena.pid,
        capacity_bytes=int(words[CAPACITY_AT]),
        live_requests=int(np.count_nonzero(_numbers(words, layout))),
        held_bytes=int(sizes[held].sum()),
        ended_bytes=int(sizes.sum() - sizes[held].sum()),
        claims=sum(int(np.count_nonzero(row)) for row in claims),
    )


def _lives(tag: np.ndarray, arenas: dict[str, np.ndarray]) -> bool:
    pid, high, low, cell, number = map(int, tag)
    owner = arenas.get(ArenaId(pid, high, low).name)
    return owner is not None and int(_numbers(owner, _layout(owner))[cell]) == number


def _numbers(words: np.ndarray, layout: Layout) -> np.ndarray:
    """Of the requests in all cells; 0 in empty ones."""
    return words[layout.cells_at : layout.cells_at + layout.n_cells * CELL_WORDS][NUMBER::CELL_WORDS]
