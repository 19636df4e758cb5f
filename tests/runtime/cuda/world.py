"""What the tests of device memory share: this process's memory, and processes that read and write it.

Plain Python, so that tools/gpu_check.py can run the same tests where there is no pytest.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from corntriton.runtime.cuda.memory import DeviceMemory
from corntriton.runtime.shm.memory import SharedMemory
from tests.runtime import traffic
from tests.runtime.cuda.outside import Stream

MB = 1 << 20
_HERE = Path(__file__).parent
_ROOT = _HERE.parents[2]


class World:
    """Memory of a test's own, and the processes that share it.

    Args:
        environment: Variables of the processes, beside this process's own.
        max_bytes: Of this process's memories, on the host and on the device.

    Attributes:
        directory: Of the arenas' files.
        shared: This process's host memory, which owns the requests.
        memory: This process's device memory.
    """

    def __init__(
        self, environment: Mapping[str, str] = MappingProxyType({}), max_bytes: int = 4 * MB
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="test-arena-"))
        self._environment = environment
        self._closing: list[Any] = []
        self.shared = SharedMemory(max_bytes, n_requests=64, n_slots=256, directory=self.directory)
        self.memory = DeviceMemory("cuda:0", self.shared, max_bytes, n_slots=256)

    def process(self, max_bytes: int = 2 * MB, device: str = "cuda:0", **environment: str) -> Process:
        """Another process, with other variables in its environment."""
        process = Process(self.directory, max_bytes, device, {**self._environment, **environment})
        self._closing.append(process.stop)
        return process

    def stream(self) -> Stream:
        """A component's stream, in this process."""
        stream = Stream(self.memory.device)
        self._closing.append(stream.close)
        return stream

    def close(self) -> None:
        for close in reversed(self._closing):
            close()
        self.shared.owner.close()
        self.memory.close()
        self.shared.close()
        shutil.rmtree(self.directory)


class Process(traffic.Process):
    """An actor with device memory; it says when it is ready."""

    def __init__(self, directory: Path, max_bytes: int, device: str, environment: Mapping[str, str]) -> None:
        path = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        super().__init__(
            [sys.executable, str(_HERE / "actor.py"), str(directory), str(max_bytes), device],
            {**os.environ, "PYTHONPATH": os.pathsep.join(path), **environment},
        )

    def _start(self) -> None:
        super()._start()
        if self._process.stdout.readline() == '"ready"\n':
            return
        if self._process.wait() != -signal.SIGKILL:
            raise RuntimeError(f"a process for tests does not start, and ended with {self._process.wait()}")
        self._start()


@contextmanager
def raises(kind: type[BaseException], match: str = "") -> Iterator[None]:
    """pytest.raises, where there is no pytest."""
    try:
        yield
    except kind as error:
        if not re.search(match, str(error)):
            raise AssertionError(f"{error!r} does not say {match!r}") from error
    else:
        raise AssertionError(f"{kind.__name__} was not raised")
