"""All of shared memory that a process needs, put together."""

from __future__ import annotations

from pathlib import Path

from corntriton.runtime.shm import immediate
from corntriton.runtime.shm.arena import Arena
from corntriton.runtime.shm.backing import Backing
from corntriton.runtime.shm.errors import NoDirectoryError
from corntriton.runtime.shm.layout import Layout, Tag
from corntriton.runtime.shm.owner import Owner
from corntriton.runtime.shm.reader import Reader
from corntriton.runtime.shm.regions import DIRECTORY, DIRECTORY_VARIABLE, Regions
from corntriton.runtime.shm.sweep import sweep
from corntriton.runtime.tensors import Array

N_SLOTS = 2048


class SharedMemory:
    """A process's own file, and its view of the others'.

    Attributes:
        arena: Where it puts tensors.
        reader: Reads anybody's.
        owner: The requests that it owns.
        regions: For `verify` and `is_over` of credential.py.
    """

    def __init__(
        self, max_bytes: int, n_requests: int = 0, n_slots: int = N_SLOTS, directory: Path = DIRECTORY
    ) -> None:
        """Makes the file, after those of dead processes are removed.

        Args:
            max_bytes: Of its tensors.
            n_requests: That it owns at once.
            n_slots: Tensors at once.
            directory: Where the files lie; a tmpfs.

        Raises:
            NoDirectoryError: There is no such directory.
            ArenaFullError: There is no memory for it.
        """
        if not directory.is_dir():
            fix = f"set {DIRECTORY_VARIABLE} to one in a tmpfs, or not at all"
            raise NoDirectoryError(f"{directory} is no directory; To fix: {fix}")
        sweep(directory)
        self.regions = Regions(directory)
        backing = Backing(Layout(n_slots, n_requests, max_bytes), directory)
        self.arena = Arena(backing, self.regions)
        self.owner = Owner(backing)
        self.reader = Reader(self.regions)

    def put(self, array: Array, tag: Tag, deadline_ns: int = 0) -> bytes:
        """The ref of a tensor with the array's content; see Arena.put."""
        return immediate.pack(array) or self.arena.put(array, tag, deadline_ns)

    def read(self, packed: bytes, tag: Tag | None = None) -> Array:
        """The tensor that a ref names, which nobody can write to; see Reader.read."""
        return immediate.unpack(packed) if immediate.is_immediate(packed) else self.reader.read(packed, tag)

    def close(self) -> None:
        """Ends its requests and leaves; see Arena.close."""
        self.owner.close()
        self.arena.close()
