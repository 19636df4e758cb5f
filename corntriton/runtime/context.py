"""What a component is told when it is loaded."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, overload

import numpy as np

from corntriton.runtime.device_ports import AnyMemory, AnyTensor
from corntriton.runtime.life import due_ns
from corntriton.runtime.settings import ComponentSettings
from corntriton.runtime.shm.errors import TooLargeError
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.ref import DTYPE_NAMES
from corntriton.runtime.tensors import Array

_WORTH_BYTES = 4096


@dataclass(frozen=True)
class Context:
    """Handed to `load`.

    Attributes:
        name: The component's name.
        settings: The user's own settings, from model.yaml.
        device: `cpu`, or `cuda:N`.
        instance: Triton's name of this instance.
    """

    name: str
    settings: Mapping[str, Any]
    device: str
    instance: str
    _files: Mapping[str, Path]
    _memory: SharedMemory | None = None
    _device: AnyMemory | None = None

    @classmethod
    def of(
        cls,
        settings: ComponentSettings,
        folder: Path,
        instance: str,
        device: str,
        memory: SharedMemory | None = None,
        device_memory: AnyMemory | None = None,
    ) -> Context:
        """For the component whose version folder this is."""
        files = {name: folder / path for name, path in settings.files.items()}
        own = MappingProxyType(dict(settings.settings))
        return cls(settings.name, own, device, instance, files, memory, device_memory)

    def file(self, name: str) -> Path:
        """The file or folder that model.yaml lists under this name.

        Raises:
            KeyError: It lists none.
        """
        if name not in self._files:
            known = ", ".join(sorted(self._files)) or "none"
            raise KeyError(f"component {self.name} has no file {name!r}, model.yaml lists {known}")
        return self._files[name]

    @overload
    def empty(self, shape: int | Sequence[int], dtype: Any, memory: Literal["host"] = "host") -> Array: ...

    @overload
    def empty(self, shape: int | Sequence[int], dtype: Any, memory: Literal["device"]) -> AnyTensor: ...

    def empty(
        self, shape: int | Sequence[int], dtype: Any, memory: Literal["host", "device"] = "host"
    ) -> Array | AnyTensor:
        """Memory for an output, which the next component then reads where it lies; like np.empty.

        Return the array, or one that begins where it does, as the output, and do not write to it again.

        Args:
            shape: Of the array.
            dtype: What numpy takes.
            memory: `host` gives an array; `device` gives what such inputs are, for torch.from_dlpack: on
                this component's GPU, or on the host where it has none.

        Raises:
            ArenaFullError: There is no room, and none came free before the request's deadline.
            TooLargeError: There never will be, on the device; on the host the array is another memory's.
            ValueError: The component has no port with `memory: device` in model.yaml.
        """
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if memory == "device":
            if self._device is None:
                raise ValueError(f"component {self.name} has no port with memory: device in model.yaml")
            return self._device.empty(shape, dtype, due_ns.get())
        return self._on_host(shape, dtype)

    def _on_host(self, shape: tuple[int, ...], dtype: Any) -> Array:
        kind = np.dtype(dtype)
        small = math.prod(shape) * kind.itemsize < _WORTH_BYTES  # copied sooner than asked for
        if self._memory is None or small or kind.hasobject or kind not in DTYPE_NAMES:
            return np.empty(shape, kind)
        try:
            return self._memory.arena.empty(shape, dtype, due_ns.get())
        except TooLargeError:  # whoever puts it there will say so, or pass it inline
            return np.empty(shape, dtype)

    def log(self, message: str) -> None:
        """Writes a line to the server's log."""
        print(f"{self.instance}: {message}", file=sys.stderr, flush=True)
