"""The GPUs that this process sees.

Processes number GPUs as CUDA_VISIBLE_DEVICES tells each of them; what names one everywhere is its UUID, of
which refs carry 64 bits, the device's number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from corntriton.runtime.cuda.driver import call
from corntriton.runtime.cuda.errors import NoDeviceError

_NAME = re.compile(r"cuda(?::([0-9]+))?")


@dataclass(frozen=True)
class Device:
    """A GPU, and this process's primary context on it, which it shares with torch.

    Attributes:
        ordinal: What CUDA and torch call it in this process.
        uuid: What everybody calls it.
        model: What it is.
    """

    ordinal: int
    uuid: UUID
    model: str
    _context: Any = field(repr=False, compare=False)

    @classmethod
    def named(cls, name: str) -> Device:
        """The device `cuda` or `cuda:N`.

        Raises:
            NoDeviceError: There is none.
        """
        match = _NAME.fullmatch(name)
        ordinal, count = int(match[1] or 0) if match else 0, call("cuDeviceGetCount")
        if match is None or ordinal >= count:
            raise NoDeviceError(f"there is no device {name}, but {count} of CUDA")
        handle = call("cuDeviceGet", ordinal)
        model = call("cuDeviceGetName", 256, handle).split(b"\0")[0].decode()
        return cls(ordinal, _uuid(ordinal), model, call("cuDevicePrimaryCtxRetain", handle))

    @property
    def number(self) -> int:
        """Names it in refs."""
        return _number(self.uuid)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes it the calling thread's, for what needs one."""
        call("cuCtxPushCurrent", self._context)
        try:
            yield
        finally:
            call("cuCtxPopCurrent")

    def reaches(self, number: int) -> bool:
        """Whether kernels on it can read the memory of the device with this number."""
        if number == self.number:
            return True
        other = visible_numbers().get(number)
        return other is not None and bool(call("cuDeviceCanAccessPeer", self.ordinal, other))


def visible_numbers() -> dict[int, int]:
    """The ordinals of all GPUs that this process sees, by number."""
    return {_number(_uuid(ordinal)): ordinal for ordinal in range(call("cuDeviceGetCount"))}


def _uuid(ordinal: int) -> UUID:
    return UUID(bytes=bytes(call("cuDeviceGetUuid", call("cuDeviceGet", ordinal)).bytes))


def _number(uuid: UUID) -> int:
    return (uuid.int >> 64 ^ uuid.int & (2**64 - 1)) or 1  # 0 is the host
