"""Values by ref, on the side of those who call components: a value goes in, refs to send come out, and back.

What already lies in shared memory, here or on another node, is only named. What does not (a request's input,
a constant, what a native backend answered) is copied into this process's arena, once for all the components
that want it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from corntriton.record.signature import Port
from corntriton.runtime.shm.layout import Tag
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.ref import REF_BYTES
from corntriton.runtime.tensors import Array
from corntriton.runtime.values import Reader, RefValue, TensorValue, array_of


class Far(Reader, Protocol):
    """Fetches tensors of one request from other nodes."""

    def bring(self, refs: Sequence[Array]) -> list[Array]:
        """Refs to the same tensors, on this node."""


class Refs:
    """Gives and takes refs for one request.

    Attributes:
        bring: Makes refs good on this node; None where all are.

    Args:
        memory: This process's.
        tag: The request's.
        deadline_ns: On the monotonic clock: until then it waits for room in the arena.
        far: Fetches what lies on other nodes; None where nothing does.
    """

    def __init__(self, memory: SharedMemory, tag: Tag, deadline_ns: int, far: Far | None = None) -> None:
        self._memory = memory
        self._reader: Reader = far or memory
        self.bring = None if far is None else far.bring
        self._tag = tag
        self._deadline_ns = deadline_ns

    def pack(self, value: Any, port: Port, on_device: bool = False) -> Array:
        """The refs of a value, as the port's `__ref` tensor has them: [192], of a list [its length, 192].

        Args:
            value: Of any sort.
            port: That takes it.
            on_device: The port also takes refs to the memory of a GPU.

        Raises:
            ArenaFullError: There is no room, and none came free before the deadline.
            TooLargeError: There never will be.
            BadValueError: It has no array.
        """
        packed = self._of_list(value, port, on_device) if port.list else [self._of(value, port, on_device)]
        refs = np.frombuffer(b"".join(packed), np.uint8)
        return refs.reshape(-1, REF_BYTES) if port.list else refs

    def unpack(self, refs: Array) -> RefValue | list[RefValue]:
        """The inverse, of refs on the host."""
        if refs.ndim == 1:
            return RefValue(refs.tobytes(), self._reader)
        return [RefValue(ref.tobytes(), self._reader) for ref in refs]

    def unpack_both(self, refs: Array | None, on_device: Array) -> RefValue | list[RefValue]:
        """The same, of refs for readers on GPUs, and of those on the host where there are any."""
        if on_device.ndim == 1:
            return RefValue(None if refs is None else refs.tobytes(), self._reader, on_device.tobytes())
        hosts = [None] * len(on_device) if refs is None else refs
        return [
            RefValue(None if host is None else host.tobytes(), self._reader, device.tobytes())
            for host, device in zip(hosts, on_device, strict=True)
        ]

    def _of(self, value: Any, port: Port, on_device: bool) -> bytes:
        if isinstance(value, RefValue):
            return value.ref(on_device)
        if not isinstance(value, TensorValue):
            return self._put(array_of(value, port))
        if value.packed is None:
            value.packed = [self._put(value.item)]
        return value.packed[0]

    def _of_list(self, value: Any, port: Port, on_device: bool) -> Sequence[bytes]:
        element = replace(port, list=False)
        if isinstance(value, TensorValue):
            if value.packed is None:
                value.packed = [self._put(array) for array in value.item]
            return value.packed
        elements = value if isinstance(value, list) else array_of(value, port)
        return [self._of(each, element, on_device) for each in elements]

    def _put(self, array: Array) -> bytes:
        return self._memory.put(array, self._tag, self._deadline_ns)
