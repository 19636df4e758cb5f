"""What a server has in /dev/shm: the regions of Triton's Python backend, and the arenas of its processes."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

from corntriton.runtime.shm.layout import ArenaId
from corntriton.runtime.shm.regions import DIRECTORY
from corntriton.serving.traces import MARK

_PERIOD_S = 0.05
_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own are


class MemoryWatch:
    """Looks again and again, from a thread, while the context lasts.

    Attributes:
        peak_region_bytes: The most that Triton's regions took.
        peak_arena_bytes: The most that the arenas took.
    """

    def __init__(self, server_id: str) -> None:
        self._id = server_id
        self._ours: dict[int, bool] = {}  # process ids, and whether they are the server's
        self._arenas: set[Path] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.peak_region_bytes = self.peak_arena_bytes = 0

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def reset(self) -> None:
        """Forgets the peaks so far."""
        self.peak_region_bytes = self.peak_arena_bytes = 0

    def arenas(self) -> set[Path]:
        """The arena files of the server's processes."""
        found = {path for path in DIRECTORY.glob("corntriton-arena-*") if self._is_ours(path)}
        self._arenas |= found
        return found

    @property
    def left(self) -> list[Path]:
        """After the server's end: what it has left behind of all that was ever seen."""
        return [path for path in [*self._arenas, *self._regions()] if path.exists()]

    def _run(self) -> None:
        while not self._stopping.wait(_PERIOD_S):
            self.peak_arena_bytes = max(self.peak_arena_bytes, sum(map(_allocated_bytes, self.arenas())))
            self.peak_region_bytes = max(self.peak_region_bytes, sum(map(_allocated_bytes, self._regions())))

    def _regions(self) -> list[Path]:
        return [*DIRECTORY.glob(f"{self._id}-*")]

    def _is_ours(self, path: Path) -> bool:
        arena = ArenaId.parse(path.name)
        if path in self._arenas or arena is None:
            return arena is not None
        if arena.pid not in self._ours:
            with contextlib.suppress(OSError):  # it may have ended
                environment = Path(f"/proc/{arena.pid}/environ").read_bytes().split(b"\0")
                self._ours[arena.pid] = f"{MARK}={self._id}".encode() in environment
        return self._ours.get(arena.pid, False)


def _allocated_bytes(path: Path) -> int:
    with contextlib.suppress(OSError):  # it may be gone
        return path.stat().st_blocks * _BLOCK_BYTES
    return 0
