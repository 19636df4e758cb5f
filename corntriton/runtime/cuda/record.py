"""What an arena's file says of the device memory behind it: the handles by which other processes open it.

    device number, bytes, handle of the memory    seal      written before the first tensor
    handle of the event of slot 0                 seal      written before the first tensor in that slot
    ...

The seals are digests with the arena's nonce as key: bytes that are not the producer's never reach the driver.
"""

from __future__ import annotations

import hmac
import mmap
import struct
from hashlib import blake2b
from typing import NamedTuple

from corntriton.runtime.cuda.driver import HANDLE_BYTES
from corntriton.runtime.shm.errors import InvalidRefError
from corntriton.runtime.shm.layout import ArenaId

_MEMORY = struct.Struct(f"=2Q{HANDLE_BYTES}s")
_SEAL_BYTES = 16
_EVENTS_AT = 128
_EVENT_BYTES = HANDLE_BYTES + _SEAL_BYTES
_GRANULE_BYTES = 64 * 1024


class SharedBlock(NamedTuple):
    """Device memory that others may open: on which device, how much, by which handle."""

    device: int
    nbytes: int
    handle: bytes


def record_bytes(n_slots: int) -> int:
    """How much room the record of so many slots takes."""
    return -(-(_EVENTS_AT + n_slots * _EVENT_BYTES) // _GRANULE_BYTES) * _GRANULE_BYTES


class Record:
    """The data section of a device arena's file.

    Args:
        data: The section.
        arena: Whose it is.
    """

    def __init__(self, data: memoryview | mmap.mmap, arena: ArenaId) -> None:
        self._data = data
        self._key = struct.pack("=2Q", arena.high, arena.low)

    def write_block(self, block: SharedBlock) -> None:
        """Once, by the producer."""
        self._write(0, _MEMORY.pack(*block))

    def block(self) -> SharedBlock:
        """What the producer wrote.

        Raises:
            InvalidRefError: These are not its bytes.
        """
        return SharedBlock(*_MEMORY.unpack(self._read(0, _MEMORY.size)))

    def write_event(self, slot: int, handle: bytes) -> None:
        """Once per slot, by the producer."""
        self._write(_EVENTS_AT + slot * _EVENT_BYTES, handle)

    def event(self, slot: int) -> bytes:
        """The handle of the slot's event.

        Raises:
            InvalidRefError: These are not the producer's bytes.
        """
        return self._read(_EVENTS_AT + slot * _EVENT_BYTES, HANDLE_BYTES)

    def _write(self, begin: int, content: bytes) -> None:
        sealed = content + self._seal(begin, content)
        self._data[begin : begin + len(sealed)] = sealed

    def _read(self, begin: int, nbytes: int) -> bytes:
        content = bytes(self._data[begin : begin + nbytes])
        seal = bytes(self._data[begin + nbytes : begin + nbytes + _SEAL_BYTES])
        if not hmac.compare_digest(seal, self._seal(begin, content)):
            raise InvalidRefError("an arena's file does not hold the handles that its process wrote")
        return content

    def _seal(self, begin: int, content: bytes) -> bytes:
        place = struct.pack("=Q", begin)
        return blake2b(content, digest_size=_SEAL_BYTES, key=self._key, salt=place).digest()
