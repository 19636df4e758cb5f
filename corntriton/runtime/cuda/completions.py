"""What is to be done once GPU work has completed: without waiting for it, on the host or the device."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from corntriton.runtime.cuda.device import Device
from corntriton.runtime.cuda.driver import DISABLE_TIMING, call, is_done
from corntriton.runtime.cuda.errors import DeviceError

_FIRST_PAUSE_S = 0.00005
_LONGEST_PAUSE_S = 0.001


class _Pending(NamedTuple):
    """An action, and the events it waits for; None where its streams are gone and the whole device is."""

    events: list[int] | None
    action: Callable[[], object]


class Completions:
    """A thread that looks at events as long as some are due.

    Args:
        device: Whose streams these are.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        # One that may be put into at any point of any thread, as the garbage collector does.
        self._pending: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="corntriton-completions", daemon=True)
        self._thread.start()

    def after(self, streams: Iterable[int], action: Callable[[], object]) -> None:
        """Calls the action, here or on the thread, once what these streams have been told is done.

        May be called at any point of any thread; so may the action be.
        """
        events: list[int] = []
        try:
            with self._device.current():
                for stream in streams:
                    events.append(int(call("cuEventCreate", DISABLE_TIMING)))
                    call("cuEventRecord", events[-1], stream)
                done = all(map(is_done, events))
                if done:
                    _destroy(events)
        except DeviceError:
            self._pending.put(_Pending(None, action))
            return
        if done:
            action()
        else:
            self._pending.put(_Pending(events, action))

    def close(self) -> None:
        """Returns when all that is due is done; what comes later stays undone, as the process is to end."""
        self._pending.put(None)
        self._thread.join()

    def _run(self) -> None:
        due: list[_Pending] = []
        pause_s, ending = _FIRST_PAUSE_S, False
        while due or not ending:
            ending = not self._collect(due, pause_s) or ending
            n_due = len(due)
            due = [one for one in due if not self._settled(one)]
            pause_s = _FIRST_PAUSE_S if len(due) < n_due else min(2 * pause_s, _LONGEST_PAUSE_S)

    def _collect(self, due: list[_Pending], pause_s: float) -> bool:
        """Waits for one more, if any are due only for a while; False when it is to end."""
        with suppress(queue.Empty):
            one = self._pending.get(timeout=pause_s if due else None)
            if one is None:
                return False
            due.append(one)
        return True

    def _settled(self, one: _Pending) -> bool:
        # If the driver fails here, the context is broken, and with it all its work has ended.
        with suppress(DeviceError), self._device.current():
            if one.events is None:
                call("cuCtxSynchronize")
            elif not all(map(is_done, one.events)):
                return False
            else:
                _destroy(one.events)
        one.action()
        return True


def _destroy(events: list[int]) -> None:
    for event in events:
        call("cuEventDestroy", event)
