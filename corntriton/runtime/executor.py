"""An executor of several components at work: parts of paths go in, with values; what leaves them comes out.

Start(parcel) ──> path, values ──compile──> Replay ──Engine──> members, in this process
                                               └── outputs as they come ──> Chunk(parcel)*, End
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from corntriton.record.codec import path_from_json
from corntriton.record.signature import ModelSignature, Signature
from corntriton.runtime.answer import RefusedError, failure_of
from corntriton.runtime.compiled import CompiledPath, Step, compile_path
from corntriton.runtime.context import Context
from corntriton.runtime.device_ports import AnyMemory, DevicePorts, open_device
from corntriton.runtime.engine import Engine
from corntriton.runtime.failures import as_failure
from corntriton.runtime.life import tag_of
from corntriton.runtime.loading import load_component
from corntriton.runtime.members import LocalCaller, Member, MemberError, Running
from corntriton.runtime.messages import Call, Chunk, End, Failure, Message, Order, Start
from corntriton.runtime.parcel import BadParcelError, ByRef, pack, unpack
from corntriton.runtime.part import is_large
from corntriton.runtime.replay import Outputs, Replay
from corntriton.runtime.settings import CALL, PATH, RESULT, ExecutorSettings
from corntriton.runtime.shm.errors import InvalidOwnerError, InvalidRefError
from corntriton.runtime.shm.layout import Tag
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.tensors import Array
from corntriton.runtime.threads import Workers

_SPARE_THREADS = 4
_PATHS_KEPT = 256
_DRAIN_S = 5.0


def load_executor(order: Order, send: Callable[[Message], None], flags: memoryview | bytearray) -> Executor:
    """Loads the components that an order names, one after the other.

    Args:
        order: What to load.
        send: Takes messages for the host, from any thread.
        flags: One per request at work, not 0 once it is cancelled.
    """
    settings = ExecutorSettings.load(order.folder / "executor.json")
    device = order.device
    if settings.devices:  # before anything of CUDA is imported
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, settings.devices))
        device = "cuda:0"
    sys.path.insert(0, str(order.folder / "code"))
    memory, on_device = SharedMemory(settings.arena_bytes), None
    if any(each.wants_device for each in settings.members.values()):
        on_device = open_device(device, memory, settings.device_arena_bytes)
    members = {}
    for name, each in settings.members.items():
        own = on_device if each.wants_device else None
        context = Context.of(each, order.folder / name, order.instance, device, memory, own)
        component = load_component(each, context, order.folder / name)
        ports = DevicePorts(own, each.device_inputs) if own is not None else None
        members[name] = Member(each, component, flags, memory, ports)
    return Executor(members, send, flags, memory, on_device)


class Executor:
    """Runs parts of paths over loaded components, many at a time.

    Args:
        members: The components, by the names that paths have for them.
        send: Takes messages for the host, from any thread.
        flags: One per request at work, not 0 once it is cancelled.
        memory: Where large tensors enter and leave.
        on_device: Where those lie that members want on their device, if any do.
    """

    def __init__(
        self,
        members: Mapping[str, Member],
        send: Callable[[Message], None],
        flags: memoryview | bytearray,
        memory: SharedMemory,
        on_device: AnyMemory | None = None,
    ) -> None:
        self._members = members
        self._memory = memory
        self._on_device = on_device
        self._send = send
        self._flags = flags
        self._paths = _Paths({name: member.settings.signature for name, member in members.items()})
        limits = {name: member.limit for name, member in members.items()}
        self._workers = Workers("executor", sum(limits.values()) + _SPARE_THREADS)
        self._caller = LocalCaller(members)
        self._engine = Engine(self._caller, limits, self._workers)

    def handle(self, message: Message) -> None:
        """Starts a call."""
        assert isinstance(message, Start)  # all that a host of an executor sends
        self._workers.submit(lambda: self._run(message.slot, message.call))

    def close(self) -> None:
        """Ends the calls, of which nobody is left to read the rest, and unloads the components."""
        self._flags[:] = bytes([1]) * len(self._flags)
        give_up_s = time.monotonic() + _DRAIN_S
        while any(gate.in_flight for gate in self._engine.gates.values()) and time.monotonic() < give_up_s:
            time.sleep(0.01)
        self._workers.close()
        for member in self._members.values():
            if hasattr(member.component, "unload"):
                member.component.unload()
        if self._on_device is not None:
            self._on_device.close()
        self._memory.close()

    def _run(self, slot: int, call: Call) -> None:
        sink = _Sink(slot, call, self._send, self._memory)
        try:
            values, note = _opened(call, self._memory)
            path = self._paths.get(_path_of(values))
            sink.streams, sink.by_ref = bool(note.get("streams")), _names(note)
            replay = Replay(path, values, sink, self._caller, Running(slot, call, _sequence(note)))
        except Exception as error:
            sink.failed(None, error)
            return
        self._engine.run(replay)


class _Paths:
    """Paths by the bytes they came as: callers send the same ones again and again."""

    def __init__(self, members: Mapping[str, Signature]) -> None:
        self._model = ModelSignature("executor", Signature({}, {}), members)
        self._known: OrderedDict[bytes, CompiledPath] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, data: Array) -> CompiledPath:
        key = data.tobytes()
        with self._lock:
            path = self._known.get(key)
            if path is not None:
                self._known.move_to_end(key)
                return path
        try:
            path = compile_path("", path_from_json(json.loads(key)), self._model)
        except Exception as error:  # anybody may have made it up
            raise _refused(f"holds no path of these components: {type(error).__name__}: {error}") from None
        with self._lock:
            self._known[key] = path
            if len(self._known) > _PATHS_KEPT:
                self._known.popitem(last=False)
        return path


class _Sink:
    """Where one call's outputs go: to the host, as they come or together at the end."""

    streams = False
    by_ref: frozenset[str] = frozenset()

    def __init__(self, slot: int, call: Call, send: Callable[[Message], None], memory: SharedMemory) -> None:
        self._slot = slot
        self._call = call
        self._post = send
        self._memory = memory
        self._over = False
        self._lock = threading.Lock()

    def news(self, outputs: Outputs) -> None:
        parcel = self._parcel(outputs)
        with self._lock:  # after the end, the slot is another call's
            if not self._over:
                self._post(Chunk(self._slot, parcel))

    def done(self, outputs: Outputs) -> None:
        self._end(None, self._parcel(outputs) if outputs else None)

    def failed(self, step: Step | None, error: BaseException) -> None:
        failure = _failure(error)
        if step is not None:
            failure = failure._replace(text=f"component {step.id}: {failure.text}")
        self._end(failure)

    def _parcel(self, outputs: Outputs) -> dict[str, Array]:
        return {RESULT: pack({name: self._packed(name, value) for name, value in outputs.items()})}

    def _packed(self, name: str, value: Array) -> Array | ByRef:
        if name not in self.by_ref or self._call.owner is None or not is_large(value):
            return value
        tag, until_ns = tag_of(self._call.owner), self._call.deadline_ns or 0
        return ByRef(np.frombuffer(self._memory.put(value, tag, until_ns), np.uint8))

    def _end(self, failure: Failure | None, outputs: dict[str, Array] | None = None) -> None:
        with self._lock:
            if not self._over:
                self._over = True
                self._post(End(self._slot, failure, outputs))


def _opened(call: Call, memory: SharedMemory) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        tag = None if call.owner is None else tag_of(call.owner)
        values, note = unpack(call.inputs[CALL])
        opened = {name: _read(value, memory, tag) for name, value in values.items()}
    except InvalidOwnerError as error:
        raise RefusedError(Failure("INVALID_ARG", str(error))) from None
    except (KeyError, BadParcelError, InvalidRefError) as error:
        raise _refused(str(error)) from None
    return opened, note


def _read(value: Array | ByRef, memory: SharedMemory, tag: Tag | None) -> Array | list[Array]:
    if not isinstance(value, ByRef):
        value.flags.writeable = False  # several components may read it
        return value
    if tag is None:
        raise _refused("holds refs, and comes from nobody who could own them")
    refs = value.refs
    if refs.ndim > 1:
        return [memory.read(ref.tobytes(), tag) for ref in refs]
    return memory.read(refs.tobytes(), tag)


def _path_of(values: dict[str, Any]) -> Array:
    path = values.pop(PATH, None)
    if not isinstance(path, np.ndarray):
        raise _refused("holds no path")
    return path


def _names(note: Mapping[str, Any]) -> frozenset[str]:
    names = note.get("refs", [])
    if not isinstance(names, list):
        raise _refused("holds wrong names")
    return frozenset(map(str, names))


def _sequence(note: Mapping[str, Any]) -> tuple[int | str, bool, bool] | None:
    if "sequence" not in note:
        return None
    try:
        number, first, last = note["sequence"]
    except (TypeError, ValueError):
        raise _refused("holds a wrong sequence") from None
    return number, bool(first), bool(last)


def _refused(what: str) -> RefusedError:
    return RefusedError(Failure("INVALID_ARG", f"the input {CALL} {what}"))


def _failure(error: BaseException) -> Failure:
    if isinstance(error, MemberError):
        return error.failure
    if isinstance(error, RefusedError):
        return error.failure
    known = as_failure(error)
    return failure_of(error) if known.code == "INTERNAL" else Failure(known.code, str(known))
