"""Files as memory: mapped, with pages put behind it and in place before they are needed."""

from __future__ import annotations

import mmap
import os
from contextlib import suppress

from corntriton.runtime.shm.locks import LockFile

# linux/mman.h, since Linux 5.14. Touching new pages one by one costs seven times a copy into old ones; where
# the kernel is older, that is what happens.
_MADV_POPULATE_READ = 22
_MADV_POPULATE_WRITE = 23


def map_file(file: LockFile, begin: int, nbytes: int, writable: bool) -> mmap.mmap:
    """Maps a part of a file; it stays mapped as long as anything refers to it.

    A mapping keeps a file descriptor, and forked children keep mappings: so it gets one without locks.
    """
    fd = os.open(f"/proc/self/fd/{file.fd}", os.O_RDWR | os.O_CLOEXEC)
    try:
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        return mmap.mmap(fd, nbytes, offset=begin, access=access)
    finally:
        os.close(fd)


def populate(memory: mmap.mmap, begin: int, end: int, writable: bool) -> None:
    """Maps the pages of a part of it that has memory behind it."""
    begin, end = begin // mmap.PAGESIZE * mmap.PAGESIZE, min(end, len(memory))
    if end > begin:
        with suppress(OSError):
            memory.madvise(_MADV_POPULATE_WRITE if writable else _MADV_POPULATE_READ, begin, end - begin)


def reserve(file: LockFile, begin: int, nbytes: int) -> None:
    """Puts memory behind a part of a file, so that no later store into it can end in SIGBUS.

    Raises:
        OSError: There is not enough.
    """
    if nbytes:
        os.posix_fallocate(file.fd, begin, nbytes)
