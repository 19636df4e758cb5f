"""Device memory of this process that others can open, with an event per slot.

One block of the arena's limit, taken at the start: what else a GPU's processes allocate (weights, torch's
cache, an engine's KV cache) grows until nothing is free, so an arena that grew on demand would fail under
load; this one fails before there is any. It has one handle, which each consumer opens once.
"""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress

from corntriton.runtime.cuda.device import Device
from corntriton.runtime.cuda.driver import (
    DISABLE_TIMING,
    INTERPROCESS,
    OUT_OF_MEMORY,
    call,
    handle_bytes,
)
from corntriton.runtime.cuda.errors import DeviceError
from corntriton.runtime.cuda.nvml import look_up
from corntriton.runtime.cuda.record import Record, SharedBlock
from corntriton.runtime.shm.errors import ArenaFullError
from corntriton.runtime.shm.layout import ArenaId

# cuIpcGetMemHandle names whole granules of the driver, whatever else lies in them.
GRANULE_BYTES = 2 * 1024 * 1024
# A process may not open what it exports itself: so it finds its own blocks here.
_own_blocks: weakref.WeakValueDictionary[ArenaId, Block] = weakref.WeakValueDictionary()


class Block:
    """The memory behind one device arena.

    Attributes:
        device: Where it lies.
        pointer: Its first byte.
        nbytes: All that it has.
        shared: Whether other processes can open it.
    """

    def __init__(self, device: Device, max_bytes: int, arena: ArenaId, record: Record) -> None:
        """Takes the memory.

        Raises:
            ArenaFullError: The device has not so much.
            DeviceError: The driver refused for another reason.
        """
        self.device = device
        self._record = record
        self._events: dict[int, int] = {}
        self._lock = threading.Lock()
        self.nbytes = -(-max_bytes // GRANULE_BYTES) * GRANULE_BYTES
        with device.current():
            self.pointer = _allocated(device, self.nbytes)
            self.shared = self._share()
        _own_blocks[arena] = self

    @property
    def capacity_bytes(self) -> int:
        """All of it may be used."""
        return self.nbytes

    @property
    def max_bytes(self) -> int:
        """It never grows."""
        return self.nbytes

    def grow(self, nbytes: int) -> None:
        """Never called: it has from the start what it may have."""
        raise OSError(f"device memory does not grow, by {nbytes} bytes or any")

    def event(self, slot: int) -> int:
        """The slot's event."""
        with self._lock:
            if slot not in self._events:
                self._events[slot] = self._new_event(slot)
            return self._events[slot]

    def close(self) -> None:
        """Frees the memory, which nobody may use any more."""
        with self.device.current(), self._lock:
            for event in self._events.values():
                call("cuEventDestroy", event)
            call("cuMemFree", self.pointer)

    def _share(self) -> bool:
        """Writes the handle into the record, unless the driver refuses, as in some sandboxes."""
        with suppress(DeviceError):
            handle = handle_bytes(call("cuIpcGetMemHandle", self.pointer))
            self._record.write_block(SharedBlock(self.device.number, self.nbytes, handle))
            self.shared = True
            self.event(0)
            return True
        return False

    def _new_event(self, slot: int) -> int:
        with self.device.current():
            if not self.shared:
                return int(call("cuEventCreate", DISABLE_TIMING))
            event = int(call("cuEventCreate", INTERPROCESS | DISABLE_TIMING))
            self._record.write_event(slot, handle_bytes(call("cuIpcGetEventHandle", event)))
            return event


def own_block(arena: ArenaId) -> Block | None:
    """The block of this arena, if it is this process's."""
    return _own_blocks.get(arena)


def _allocated(device: Device, nbytes: int) -> int:
    try:
        return int(call("cuMemAlloc", nbytes))
    except DeviceError as error:
        if error.code != OUT_OF_MEMORY:
            raise
    named = f"cuda:{device.ordinal} ({look_up(device.uuid) or device.model})"
    raise ArenaFullError(f"{named} has no room for an arena of {nbytes} bytes")
