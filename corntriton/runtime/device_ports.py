"""Ports whose tensors a component wants on its device: in a GPU's memory, or the host's where it has no GPU.

    input   refs to either, or arrays ──read, place──> DeviceTensor, or HostTensor
    output  either, torch's, arrays   ──put──────────> refs to the device for readers on GPUs: X__dref
                                      ──stage────────> refs to the host for all others: X__ref

Not every process has such components: the modules that know devices are imported when one has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Union

from corntriton.record.signature import Port
from corntriton.runtime.settings import DREF
from corntriton.runtime.shm.errors import ArenaFullError
from corntriton.runtime.shm.layout import Tag
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.ref import Ref
from corntriton.runtime.tensors import NUMPY_DTYPES, Array, BadValueError, as_element, fits

if TYPE_CHECKING:
    from corntriton.runtime.cuda.host import HostMemory, HostTensor
    from corntriton.runtime.cuda.memory import DeviceMemory
    from corntriton.runtime.cuda.tensor import DeviceTensor

AnyMemory = Union["DeviceMemory", "HostMemory"]
AnyTensor = Union["DeviceTensor", "HostTensor"]
_CPU = 1  # DLDeviceType


def open_device(device: str, shared: SharedMemory, max_bytes: int) -> AnyMemory:
    """The memory of this device.

    Args:
        device: `cpu` or `cuda:N`.
        shared: Of this process.
        max_bytes: Of the tensors on a GPU; a part of what is free if 0.

    Raises:
        NoDeviceError: There is no such GPU.
        ArenaFullError: It has not so much memory.
        DeviceError: The driver refused.
    """
    if device == "cpu":
        from corntriton.runtime.cuda.host import HostMemory

        return HostMemory(shared)
    from corntriton.runtime.cuda.memory import DeviceMemory

    try:
        return DeviceMemory(device, shared, max_bytes or None)
    except ArenaFullError as error:
        fix = "To fix: lower arena.device_max_bytes of the model, or put fewer processes on the GPU"
        raise ArenaFullError(f"{error}; {fix}") from None


class DevicePorts:
    """Reads and writes the tensors of a component that wants some on its device.

    Args:
        memory: The device's.
        inputs: The inputs that it wants there.
    """

    def __init__(self, memory: AnyMemory, inputs: Collection[str]) -> None:
        self.inputs = frozenset(inputs)
        self._memory = memory

    def read(self, packed: bytes, tag: Tag, until_ns: int) -> AnyTensor | Array:
        """The tensor that a ref names; see DeviceMemory.read."""
        return self._memory.read(packed, tag, until_ns)

    def place(self, value: Array | list[Array], until_ns: int) -> AnyTensor | list[AnyTensor]:
        """What came inline; see DeviceMemory.place."""
        if isinstance(value, list):
            return [self._memory.place(each, until_ns) for each in value]
        return self._memory.place(value, until_ns)

    def put(self, tensor: str, value: Any, port: Port, tag: Tag, until_ns: int) -> bytes:
        """The ref of an output, or of an element of one.

        Args:
            tensor: The output's name with the suffix that says who reads it.
            value: What the component returned.
            port: The output's.
            tag: The request that the tensor belongs to.
            until_ns: On the monotonic clock: until then it waits for room.

        Raises:
            BadValueError: It does not fit the port.
            ArenaError: As DeviceMemory.put.
        """
        put = self._memory.put if tensor.endswith(DREF) else self._memory.stage
        if not _is_on_gpu(value):
            return put(as_element(value, port), tag, until_ns)
        try:
            packed = put(value, tag, until_ns)
        except TypeError as error:
            raise BadValueError(f"cannot pass: {error}") from None
        _check_form(Ref.unpack(packed), port)
        return packed

    def check(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Tells whether what was made of these items can be relied on; for when it has been made.

        Raises:
            ProducerDiedError: The process has ended in whose memory an input lay.
        """
        for item in items:
            for name in self.inputs:
                value = item.get(name, [])
                for tensor in value if isinstance(value, list) else [value]:
                    tensor.check()


def _is_on_gpu(value: Any) -> bool:
    return hasattr(value, "__dlpack_device__") and value.__dlpack_device__()[0] != _CPU


def _check_form(ref: Ref, port: Port) -> None:
    """What lies on a GPU passes as it is: nothing here could convert it."""
    if NUMPY_DTYPES[ref.dtype] != NUMPY_DTYPES[port.dtype]:
        raise BadValueError(
            f"holds {ref.dtype} on a GPU, which is not {port.dtype}; To fix: convert it there"
        )
    if not fits(ref.shape, port.dims):
        raise BadValueError(f"has shape {[*ref.shape]}, but its dims are {[*port.dims]}")
