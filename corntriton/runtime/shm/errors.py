"""What can go wrong with shared memory, and who is told.

Reader.read ──────────────> InvalidRefError ───> INVALID_ARGUMENT: forged, stale or damaged
verify ───────────────────> InvalidOwnerError ─> INVALID_ARGUMENT
Arena.put, Arena.empty ───> ArenaFullError ────> UNAVAILABLE: no room before the deadline
                          └───> TooLargeError ─────> INTERNAL: would not fit an empty arena
SharedMemory ─────────────> NoDirectoryError ──> the model does not load
"""

from __future__ import annotations

from corntriton.errors import CorntritonError


class ArenaError(CorntritonError):
    """Base of all errors of shared memory."""


class InvalidRefError(ArenaError):
    """These bytes do not name a tensor that may be read."""


class InvalidOwnerError(ArenaError):
    """This text does not name a live request of an owner."""


class ArenaFullError(ArenaError):
    """There is no room, and none came free in time."""


class NoDirectoryError(ArenaError):
    """Where arenas are meant to lie is no directory."""


class TooLargeError(ArenaError):
    """The tensor is larger than the arena may ever grow."""
