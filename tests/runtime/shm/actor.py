"""A process for test_processes.py: puts and reads as it is told on stdin, a line of JSON at a time."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from corntriton.runtime.shm.credential import verify
from corntriton.runtime.shm.errors import ArenaFullError, InvalidOwnerError, InvalidRefError
from corntriton.runtime.shm.memory import SharedMemory


class Actor:
    """Answers orders: with what it did, or why not."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.memory = SharedMemory(max_bytes, n_slots=64, directory=directory)

    def put(self, text: str, n_bytes: int, fill: int, in_place: bool) -> str:
        """Puts bytes that all have this value."""
        arena, soon_ns = self.memory.arena, time.monotonic_ns() + 200_000_000
        try:
            tag = verify(text, self.memory.regions)
            if not in_place:
                return arena.put(np.full(n_bytes, fill, np.uint8), tag, soon_ns).hex()
            array = arena.empty((n_bytes,), np.uint8, soon_ns)
            array[...] = fill
            return arena.put(array, tag).hex()
        except ArenaFullError:
            return "full"
        except InvalidOwnerError:
            return "ended"

    def read(self, ref: str, fill: int, n_looks: int, pause_s: float) -> str:
        """Looks at a tensor several times, as a component does that works on it for a while."""
        try:
            array = self.memory.reader.read(bytes.fromhex(ref))
        except InvalidRefError:
            return "gone"
        for _ in range(n_looks):
            if not (array == fill).all():
                return f"WRONG: {sorted(set(array.tolist()))} and not {fill}"
            time.sleep(pause_s)
        return "right"

    def used(self) -> int:
        """Bytes of its arena that are not free."""
        return self.memory.arena.usage.used_bytes


def main() -> None:
    actor = Actor(Path(sys.argv[1]), int(sys.argv[2]))
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(getattr(actor, name)(*arguments)), flush=True)
    actor.memory.close()


main()
