"""Open files with byte-range locks: they end with their process, however it ends, and so tell who lives.

The locks belong to the open file (F_OFD_SETLK): unlike POSIX record locks, they survive the closing of
another file of the same inode; unlike flock's, they come one per byte and can be looked at without being
taken. A forked child would inherit them, and keep its dead parent alive: so children close the files.
"""

from __future__ import annotations

import fcntl
import os
import struct
import weakref

# The byte that a file's maker locks for life; reader row i locks the i-th after it.
LIFE_BYTE = 0
FIRST_ROW_BYTE = 1
_FLOCK = struct.Struct("hhqqi4x")  # struct flock: l_type, l_whence, l_start, l_len, l_pid
_open_files: weakref.WeakSet[LockFile] = weakref.WeakSet()


class LockFile:
    """An open file, of this process only: a forked child finds it closed."""

    def __init__(self, path: str, extra_flags: int = 0) -> None:
        """Opens the file; raises OSError."""
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | extra_flags
        self.fd = os.open(path, flags, 0o600)
        _open_files.add(self)

    def __del__(self) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Its locks are gone, or this is a forked child and they are the parent's."""
        return self.fd < 0

    def close(self) -> None:
        """Closes the file and so ends its locks; may be called again."""
        fd, self.fd = getattr(self, "fd", -1), -1
        if fd >= 0:
            os.close(fd)

    def take(self, byte: int, shared: bool = False) -> bool:
        """Locks a byte, unless another open file has; a shared lock only keeps others from taking it."""
        kind = fcntl.F_RDLCK if shared else fcntl.F_WRLCK
        try:
            fcntl.fcntl(self.fd, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0))
        except (BlockingIOError, PermissionError):
            return False
        return True

    def give(self, byte: int) -> None:
        """Unlocks a byte."""
        fcntl.fcntl(self.fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, byte, 1, 0))

    def taken(self, byte: int) -> bool:
        """Whether another open file has locked the byte, and not as shared."""
        query = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, byte, 1, 0)
        kind: int = _FLOCK.unpack(fcntl.fcntl(self.fd, fcntl.F_OFD_GETLK, query))[0]
        return kind == fcntl.F_WRLCK

    @property
    def unlinked(self) -> bool:
        """Whether the file has lost its name."""
        return os.fstat(self.fd).st_nlink == 0


def _forget_parents_files() -> None:
    for file in [*_open_files]:
        file.close()


os.register_at_fork(after_in_child=_forget_parents_files)
