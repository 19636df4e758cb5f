"""Removes the files of dead processes, as soon as no living request can need their tensors."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from corntriton.runtime.shm.layout import GENERATION, SLOT_WORDS, TAG, ArenaId, Tag
from corntriton.runtime.shm.locks import LIFE_BYTE, LockFile
from corntriton.runtime.shm.region import Region
from corntriton.runtime.shm.regions import DIRECTORY, Regions


def sweep(directory: Path = DIRECTORY) -> None:
    """Looks at all arena files of this user's in the directory."""
    regions = Regions(directory)
    for name in os.listdir(directory):
        arena = ArenaId.parse(name)
        if arena is not None:
            with suppress(OSError):  # another user's, or just removed by another sweeper
                _sweep_one(directory / name, arena, regions)


def _sweep_one(path: Path, arena: ArenaId, regions: Regions) -> None:
    file = LockFile(str(path))
    # As long as we have it, a process that has just made the file cannot lock it, and makes another.
    if not file.take(LIFE_BYTE, shared=True) or _still_needed(arena, regions):
        return
    os.unlink(path)


def _still_needed(arena: ArenaId, regions: Regions) -> bool:
    region = regions.find(arena)
    return region is not None and any(
        regions.lives(tag.owner) and regions.carries(tag) for tag in _tags(region)
    )


def _tags(region: Region) -> list[Tag]:
    """Of the tensors in a region whose process is dead."""
    layout = region.layout
    words = region.words[layout.slots_at : layout.slots_at + layout.n_slots * SLOT_WORDS]
    slots = np.frombuffer(words, np.uint64).reshape(layout.n_slots, SLOT_WORDS)
    rows = slots[slots[:, GENERATION] != 0][:, TAG : TAG + 5].tolist()
    return [Tag(ArenaId(*row[:3]), *row[3:]) for row in rows]
