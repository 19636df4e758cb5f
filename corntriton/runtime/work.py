"""A loaded component at work: takes the host's messages, sends what comes of them."""

from __future__ import annotations

from collections.abc import Callable

from corntriton.runtime.answer import Ports
from corntriton.runtime.batch import BatchRunner
from corntriton.runtime.context import Context
from corntriton.runtime.device_ports import DevicePorts, open_device
from corntriton.runtime.executor import Executor, load_executor
from corntriton.runtime.loading import load_component
from corntriton.runtime.messages import Batch, Message, Order, Results, Start
from corntriton.runtime.settings import ComponentSettings
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.stream import StreamRunner


def load_work(
    order: Order, send: Callable[[Message], None], flags: memoryview | bytearray
) -> Work | Executor:
    """Loads what the folder of an order holds: a component, or an executor of several."""
    if (order.folder / "executor.json").exists():
        return load_executor(order, send, flags)
    return Work(order, send, flags)


class Work:
    """Loads the component that an order names and runs its batches or streams.

    Args:
        order: What to load.
        send: Takes messages for the host, from any thread.
        flags: One per request at work, not 0 once it is cancelled.
    """

    def __init__(self, order: Order, send: Callable[[Message], None], flags: memoryview | bytearray) -> None:
        settings = ComponentSettings.load(order.folder / "component.json")
        device = settings.device or order.device
        self._memory = SharedMemory(settings.arena_bytes) if settings.arena_bytes else None
        self._device = None
        if self._memory is not None and settings.wants_device:
            self._device = open_device(device, self._memory, settings.device_arena_bytes)
        context = Context.of(settings, order.folder, order.instance, device, self._memory, self._device)
        self._component = load_component(settings, context, order.folder)
        self._send = send
        self._flags = flags
        on_device = DevicePorts(self._device, settings.device_inputs) if self._device is not None else None
        batched = settings.max_batch_size > 0
        ports = Ports(settings.signature, batched, self._memory, settings.spills, on_device)
        if settings.signature.streaming:
            self._streams = StreamRunner(self._component.stream, ports, max(1, settings.max_batch_size), send)
        else:
            repeatable = settings.idempotent and not settings.stateful
            self._batches = BatchRunner(self._component, ports, repeatable)

    def handle(self, message: Message) -> None:
        """Computes a batch, or starts a stream."""
        if isinstance(message, Batch):
            self._send(Results(self._batches.run(message.calls, self._flags)))
        elif isinstance(message, Start):
            self._streams.start(message.slot, message.call, self._flags)

    def close(self) -> None:
        """Ends the streams, of which nobody is left to read the rest, and unloads the component."""
        for slot in range(len(self._flags)):
            self._flags[slot] = 1
        if hasattr(self, "_streams"):
            self._streams.close()
        if hasattr(self._component, "unload"):
            self._component.unload()
        if self._device is not None:
            self._device.close()
        if self._memory is not None:
            self._memory.close()
