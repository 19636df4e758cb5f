"""Who works on a tensor's memory: the streams that were let in, until the last view of it is gone."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from corntriton.runtime.cuda.completions import Completions
from corntriton.runtime.cuda.device import Device
from corntriton.runtime.cuda.driver import DISABLE_TIMING, LEGACY_STREAM, call


class Use:
    """All views of a tensor share one; when it dies and its streams are through, the use has ended.

    Args:
        device: Of the streams.
        ready: The event after which the memory may be touched; None if that is at once.
        written: Whether the streams write to it, so that they wait for each other.
        end: What to do then; may be called at any point of any thread.
        completions: Knows when that is.
    """

    def __init__(
        self,
        device: Device,
        ready: int | None,
        written: bool,
        end: Callable[[], object],
        completions: Completions,
    ) -> None:
        self._device = device
        self._ready = ready
        self._written = written
        self._streams: set[int] = set()
        weakref.finalize(self, completions.after, self._streams, end).atexit = False

    def begin(self, stream: int) -> None:
        """Lets a stream in: what it is told from now on waits until the memory may be touched."""
        with self._device.current():
            if self._ready is not None:
                call("cuStreamWaitEvent", stream, self._ready, 0)
            for other in self._streams - {stream} if self._written else ():
                _let_wait(stream, other)
        self._streams.add(stream)

    def begin_anyhow(self) -> None:
        """Lets a stream in that is not named: the host waits, and the use ends with the default stream's."""
        self.wait()
        self._streams.add(LEGACY_STREAM)

    def wait(self) -> None:
        """Returns when the memory may be touched by the host."""
        with self._device.current():
            if self._ready is not None:
                call("cuEventSynchronize", self._ready)
            for stream in [*self._streams] if self._written else ():
                call("cuStreamSynchronize", stream)


def _let_wait(stream: int, other: int) -> None:
    event = int(call("cuEventCreate", DISABLE_TIMING))
    call("cuEventRecord", event, other)
    call("cuStreamWaitEvent", stream, event, 0)
    call("cuEventDestroy", event)
