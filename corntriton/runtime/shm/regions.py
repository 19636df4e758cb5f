"""The arena files that this process has opened, each once."""

from __future__ import annotations

import os
import threading
from functools import cached_property
from pathlib import Path

from corntriton.runtime.shm.layout import ArenaId, Tag, node_of
from corntriton.runtime.shm.region import Region

# Where it is set, servers on one machine can have shared memory of their own, as in containers.
DIRECTORY_VARIABLE = "CORNTRITON_SHM_DIRECTORY"
DIRECTORY = Path(os.environ.get(DIRECTORY_VARIABLE) or "/dev/shm")


class Regions:
    """Finds arenas by name.

    Args:
        directory: Where the files lie.
    """

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self.directory = directory
        self._open: dict[ArenaId, Region] = {}
        self._lock = threading.Lock()

    @cached_property
    def node(self) -> tuple[int, int]:
        """What refs to tensors in these arenas name."""
        return node_of(self.directory)

    def find(self, arena: ArenaId) -> Region | None:
        """The arena's file, or None where there is none that this user's processes made."""
        region = self._open.get(arena)
        if region is not None and not region.file.closed:
            return region
        with self._lock:
            region = self._open.get(arena)
            if region is None or region.file.closed:  # a forked child opens its own
                try:
                    region = Region(self.directory, arena)
                except (OSError, ValueError):
                    return None
                self._forget_unlinked()
                self._open[arena] = region
            return region

    def carries(self, tag: Tag) -> bool:
        """Whether the request lives, by what its owner has written last; that owner may be dead."""
        region = self.find(tag.owner)
        return region is not None and tag.cell < region.layout.n_cells and region.carries(tag)

    def lives(self, arena: ArenaId) -> bool:
        """Whether the process that made the arena still runs."""
        region = self.find(arena)
        return region is not None and region.alive

    def _forget_unlinked(self) -> None:
        # Arrays that were read from them keep them mapped.
        for arena, region in [*self._open.items()]:
            if region.file.closed or region.file.unlinked:
                del self._open[arena]
