"""A process with a GPU, for world.py: puts and reads as it is told on stdin, a line of JSON at a time."""

from __future__ import annotations

import ctypes
import json
import sys
import time
from pathlib import Path

import numpy as np
from outside import Outsider, Stream

from corntriton.runtime.cuda.errors import ProducerDiedError, UnreachableError
from corntriton.runtime.cuda.memory import DeviceMemory
from corntriton.runtime.cuda.tensor import DeviceTensor
from corntriton.runtime.shm.credential import verify
from corntriton.runtime.shm.errors import ArenaFullError, InvalidOwnerError, InvalidRefError
from corntriton.runtime.shm.memory import SharedMemory

_ANSWERS = {
    ArenaFullError: "full",
    InvalidOwnerError: "ended",
    InvalidRefError: "gone",
    UnreachableError: "unreachable",
    ProducerDiedError: "died",
}


class Actor:
    """Answers orders: with what it did, or why not."""

    def __init__(self, directory: Path, max_bytes: int, device: str) -> None:
        self.shared = SharedMemory(1 << 20, n_slots=64, directory=directory)
        self.memory = DeviceMemory(device, self.shared, max_bytes, n_slots=64)
        self.stream = Stream(self.memory.device)
        self.held: list[DeviceTensor | np.ndarray] = []

    def put(self, text: str, nbytes: int, fill: int, how: str, busy: bool = False) -> str:
        """Puts bytes that all have this value: `numpy`, `in place`, or a `copy` of another's tensor."""
        tag, soon_ns = verify(text, self.shared.regions), time.monotonic_ns() + 200_000_000
        if how == "numpy":
            return self.memory.put(np.full(nbytes, fill, np.uint8), tag, soon_ns).hex()
        if busy:
            self.stream.keep_busy()
        if how == "in place":
            tensor = self.memory.empty((nbytes,), np.uint8, soon_ns)
            tensor.wait(self.stream.handle)
            self.stream.fill(tensor.pointer, nbytes, fill)
            return self.memory.put(tensor, tag).hex()
        source = Outsider(self.stream, nbytes)
        source.fill(fill)
        try:
            return self.memory.put(source, tag, soon_ns).hex()
        finally:
            source.close()

    def read(self, ref: str, fill: int, busy: bool = False) -> str:
        """Looks at a tensor in the end of its stream's work, long after it has let go of it."""
        tensor = self.memory.read(bytes.fromhex(ref))
        seen = np.full(tensor.shape, fill ^ 255, np.uint8)
        tensor.wait(self.stream.handle)
        if busy:
            self.stream.keep_busy()
        self.stream.copy_out(tensor.pointer, seen)
        check = tensor.check
        del tensor
        self.stream.synchronize()
        try:
            check()
        except ProducerDiedError:
            return "died"
        wrong = sorted(set(seen[seen != fill].tolist()))
        return f"WRONG: {wrong} and not {fill}" if wrong else "right"

    def content(self, ref: str) -> list:
        """The dtype, the shape and the bytes of a tensor."""
        array = self.memory.read(bytes.fromhex(ref))
        array = array.numpy() if isinstance(array, DeviceTensor) else array
        content = [*array.flat] if array.dtype == object else array.tobytes()
        return [str(array.dtype), [*array.shape], repr(content)]

    def receive(self, ref: str) -> str:
        """Reads, and waits until the tensor is on its device."""
        tensor = self.memory.read(bytes.fromhex(ref))
        tensor.wait()
        return "received"

    def nothing(self) -> str:
        """Answers."""
        return "nothing"

    def hold(self, ref: str) -> str:
        """Reads, and keeps what it read."""
        self.held.append(self.memory.read(bytes.fromhex(ref)))
        return "held"

    def check(self) -> str:
        """Whether what it holds can still be relied on."""
        for tensor in self.held:
            tensor.check()
        return "right"

    def drop(self) -> str:
        """Forgets what it holds."""
        self.held.clear()
        return "dropped"

    def used(self) -> int:
        """Bytes of its arenas that are not free, once its streams are through."""
        for _ in range(1000):
            used_bytes = self.memory.usage.used_bytes + self.shared.arena.usage.used_bytes
            if not used_bytes:
                break
            time.sleep(0.002)
        return used_bytes

    def shares(self) -> bool:
        """Whether it gives refs to its device."""
        return self.memory.shares

    def calls(self, function: str) -> int:
        """Of the simulated driver."""
        return ctypes.CDLL("libcuda.so.1").simulated_calls(function.encode())


def main() -> None:
    try:
        actor = Actor(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    except ArenaFullError as error:
        sys.exit(f"full: {error}")
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            answer = getattr(actor, name)(*arguments)
        except tuple(_ANSWERS) as error:
            answer = next(word for kind, word in _ANSWERS.items() if isinstance(error, kind))
        print(json.dumps(answer), flush=True)
    actor.drop()
    actor.memory.close()
    actor.shared.close()


main()
