"""Another process's device memory, as this process sees it: opened once, closed when no tensor needs it."""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress

from corntriton.runtime.cuda.device import Device
from corntriton.runtime.cuda.driver import LAZY_PEER_ACCESS, call, handle_of
from corntriton.runtime.cuda.errors import DeviceError, UnreachableError
from corntriton.runtime.cuda.record import Record


class Opened:
    """A mapping of the memory into the address space of the reader's device, and the events of its slots.

    Attributes:
        pointer: Where it begins for this process.
        nbytes: How much it is.
    """

    def __init__(self, device: Device, record: Record) -> None:
        """Opens it on this device, which may be another one of the same node.

        Raises:
            InvalidRefError: The record does not hold the producer's bytes.
            UnreachableError: This process does not see the memory's device, or the driver refuses.
        """
        self._device = device
        self._record = record
        self._events: dict[int, int] = {}
        self._lock = threading.Lock()
        block = record.block()
        self.nbytes = block.nbytes
        if not device.reaches(block.device):
            raise UnreachableError(f"device {device.ordinal} cannot reach the one where a tensor lies")
        try:
            with device.current():
                handle = handle_of("CUipcMemHandle", block.handle)
                self.pointer = int(call("cuIpcOpenMemHandle", handle, LAZY_PEER_ACCESS))
        except DeviceError as error:
            raise UnreachableError(f"a tensor's memory cannot be opened: {error}") from None
        weakref.finalize(self, _close, device, self.pointer, self._events).atexit = False

    def event(self, slot: int) -> int:
        """The slot's event.

        Raises:
            InvalidRefError: The record does not hold the producer's bytes.
            UnreachableError: The driver refuses.
        """
        with self._lock:
            if slot not in self._events:
                self._events[slot] = self._open_event(slot)
            return self._events[slot]

    def _open_event(self, slot: int) -> int:
        handle = handle_of("CUipcEventHandle", self._record.event(slot))
        try:
            with self._device.current():
                return int(call("cuIpcOpenEventHandle", handle))
        except DeviceError as error:
            raise UnreachableError(f"a tensor's event cannot be opened: {error}") from None


def _close(device: Device, pointer: int, events: dict[int, int]) -> None:
    with suppress(DeviceError), device.current():
        for event in events.values():
            call("cuEventDestroy", event)
        call("cuIpcCloseMemHandle", pointer)
