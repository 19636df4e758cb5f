"""From calls to items and from a component's results to the outputs of a call, with every check between."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from corntriton.errors import InvalidRequestError
from corntriton.record.signature import Port, Signature
from corntriton.runtime import life
from corntriton.runtime.cuda.errors import ProducerDiedError, UnreachableError
from corntriton.runtime.device_ports import DevicePorts
from corntriton.runtime.item import Item
from corntriton.runtime.messages import INPUT_LOST, INVALID_REQUEST, Call, Failure
from corntriton.runtime.settings import DREF, REF, port_of
from corntriton.runtime.shm.errors import ArenaFullError, InvalidOwnerError, InvalidRefError, TooLargeError
from corntriton.runtime.shm.layout import Tag
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.ref import REF_BYTES
from corntriton.runtime.tensors import (
    NUMPY_DTYPES,
    Array,
    BadValueError,
    as_array,
    as_element,
    as_value,
    elements_of,
    fits,
)

_MAX_TEXT = 1000
_ON_GPU = ", or arena.device_max_bytes for memory on a GPU"


class RefusedError(Exception):
    """A call or a result that cannot be used; carries what its client is told."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


def failure_of(error: BaseException) -> Failure:
    """What the client of a request is told of an error, and what the log gets."""
    if isinstance(error, RefusedError):
        return error.failure
    if isinstance(error, InvalidRequestError):
        return Failure("INVALID_ARG", f"{INVALID_REQUEST}: {error}"[:_MAX_TEXT])
    if isinstance(error, ArenaFullError):
        return Failure("UNAVAILABLE", str(error))
    if isinstance(error, TooLargeError):
        return Failure("INTERNAL", f"{error}; To fix: raise arena.max_bytes of the model{_ON_GPU}")
    if isinstance(error, (UnreachableError, ProducerDiedError)):
        return Failure("UNAVAILABLE", f"{INPUT_LOST}: {error}")
    text = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return Failure("INTERNAL", text[:_MAX_TEXT], trace)


class Ports:
    """A component's ports, as its calls have them.

    Args:
        signature: The component's.
        batched: Tensors have a batch dimension.
        memory: Where tensors by ref are; None where none are.
        spills: See ComponentSettings.
        device: For the tensors that the component wants on its device; None where it wants none.
    """

    def __init__(
        self,
        signature: Signature,
        batched: bool,
        memory: SharedMemory | None = None,
        spills: bool = False,
        device: DevicePorts | None = None,
    ) -> None:
        self._inputs = signature.inputs
        self._outputs = signature.outputs
        self._required = frozenset(name for name, port in signature.inputs.items() if not port.optional)
        self._batched = batched
        self._memory = memory
        self._spills = spills
        self._device = device
        self._on_device = device.inputs if device is not None else frozenset()
        suffixes = (REF, DREF) if device is not None else (REF,)
        self._by_ref = {name: [name + suffix for suffix in suffixes] for name in signature.outputs}

    def items(self, call: Call, flags: Sequence[int], slot: int) -> list[Item]:
        """The items of a call: one per row of its batch.

        Raises:
            RefusedError: An input is missing, unknown, or of another dtype or shape; a ref or the owner is
                invalid; or nobody waits for it.
        """
        tag = _tag_of(call)
        _check_wanted(call, flags[slot] != 0)
        self._check_names(call.inputs)
        columns = {
            tensor.removesuffix(REF): self._column(tensor, array, tag, call.deadline_ns or 0)
            for tensor, array in call.inputs.items()
        }
        n_rows = len(next(iter(columns.values()))) if columns else 1
        rows = ({name: column[row] for name, column in columns.items()} for row in range(n_rows))
        return [Item(row, call, flags, slot) for row in rows]

    def outputs(self, results: Sequence[Any], call: Call) -> dict[str, Array]:
        """The outputs that a call wants, from what the component returned for each of its items.

        Raises:
            RefusedError: A result is an exception or no mapping, or an output of it does not fit its port.
            ArenaFullError: There is no room for one that goes by ref.
            TooLargeError: There never will be.
        """
        rows = [self._checked(result) for result in results]
        outputs: dict[str, Array] = {}
        for name in self._outputs:
            if not any(name in row for row in rows):
                continue
            if any(name not in row for row in rows):
                raise _bad_result(f"it returned {name} for some items of a request and not for others")
            for tensor, arrays in self._tensors(name, rows, call):
                outputs[tensor] = _stack(name, arrays) if self._batched else arrays[0]
        return outputs

    def check_complete(self, outputs: Mapping[str, Any], wanted: frozenset[str]) -> None:
        """Refuses outputs that lack one that every response must have."""
        if outputs.keys() >= wanted:
            return
        given = {port_of(tensor) for tensor in outputs}
        for tensor in wanted:
            name = port_of(tensor)
            if name not in given and not self._outputs[name].optional:
                raise _bad_result(f"it returned no {name}")

    def loss(self, items: Sequence[Item]) -> Failure | None:
        """Why what was made of these items is not to be relied on; to be asked when it has been made."""
        if self._device is not None:
            try:
                self._device.check(items)
            except ProducerDiedError as error:
                return failure_of(error)
        return None

    def _check_names(self, tensors: Mapping[str, Array]) -> None:
        names = [tensor.removesuffix(REF) for tensor in tensors]
        missing = self._required - set(names)
        if missing:
            raise _bad_input(f"the input {', '.join(sorted(missing))} is missing")
        for name in names:
            if name not in self._inputs:
                raise _bad_input(f"there is no input {name}")
            if names.count(name) > 1:
                raise _bad_input(f"the input {name} is given twice: as it is, and by ref")

    def _column(self, tensor: str, array: Array, tag: Tag | None, until_ns: int) -> Sequence[Any]:
        """The value of an input in each row."""
        name = tensor.removesuffix(REF)
        port = self._inputs[name]
        rows = array if self._batched else array[None]
        if tensor.endswith(REF):
            return [self._read(tensor, row, port, tag, until_ns) for row in rows]
        self._check_array(tensor, array, port)
        values = [as_value(row, port) for row in rows]
        if name in self._on_device:
            assert self._device is not None  # who has such inputs has it
            return [self._device.place(value, until_ns) for value in values]
        return values

    def _check_array(self, name: str, array: Array, port: Port) -> None:
        if array.dtype != NUMPY_DTYPES[port.dtype]:
            raise _bad_input(f"the input {name} is {array.dtype}, not {port.dtype}")
        shape, dims = array.shape[self._batched :], (-1, *port.dims) if port.list else port.dims
        if not fits(shape, dims):
            raise _bad_input(f"the input {name} has shape {[*shape]}, but its dims are {[*dims]}")

    def _read(self, tensor: str, row: Array, port: Port, tag: Tag | None, until_ns: int) -> Any:
        if tag is None:
            raise _bad_input(f"the input {tensor} comes from nobody who could own it")
        if self._memory is None or row.dtype != np.uint8 or row.shape[port.list :] != (REF_BYTES,):
            raise _bad_input(f"the input {tensor} has shape {[*row.shape]}, which no refs have")
        if port.list:
            return [self._read_one(tensor, ref, port, tag, until_ns) for ref in row]
        return self._read_one(tensor, row, port, tag, until_ns)

    def _read_one(self, tensor: str, packed: Array, port: Port, tag: Tag, until_ns: int) -> Any:
        assert self._memory is not None  # by the caller
        array: Any
        try:
            if self._device is not None and tensor.removesuffix(REF) in self._on_device:
                array = self._device.read(packed.tobytes(), tag, until_ns)
            else:
                array = self._memory.read(packed.tobytes(), tag)
        except InvalidRefError as error:
            raise _bad_input(f"the input {tensor}: {error}") from None
        if array.dtype != NUMPY_DTYPES[port.dtype] or not fits(array.shape, port.dims):
            what = f"names a tensor of {array.dtype} {[*array.shape]}, not {port.dtype} {[*port.dims]}"
            raise _bad_input(f"the input {tensor} {what}")
        return array

    def _checked(self, result: Any) -> Mapping[str, Any]:
        if isinstance(result, BaseException):
            raise RefusedError(failure_of(result))
        if not isinstance(result, Mapping):
            raise _bad_result(f"it returned {type(result).__name__} for an item, not a dict of its outputs")
        unknown = result.keys() - self._outputs.keys()
        if unknown:
            raise _bad_result(f"it returned {', '.join(sorted(map(str, unknown)))}, which is no output of it")
        return result

    def _tensors(
        self, name: str, rows: Sequence[Mapping[str, Any]], call: Call
    ) -> Iterator[tuple[str, list[Array]]]:
        """The output as it is, by ref, or both, as the call wants it: its name there, and each row."""
        by_ref = [tensor for tensor in self._by_ref[name] if tensor in call.wanted]
        inline = name in call.wanted
        try:
            if by_ref:
                try:
                    yield from [(each, [self._put(each, row[name], call) for row in rows]) for each in by_ref]
                    inline = inline and not self._spills
                except TooLargeError:
                    if not (inline and self._spills):
                        raise
            if inline:
                yield name, [as_array(row[name], self._outputs[name]) for row in rows]
        except BadValueError as error:
            raise _bad_result(f"its output {name} {error}") from None

    def _put(self, tensor: str, value: Any, call: Call) -> Array:
        """The value's ref, or those of a list's elements."""
        assert self._memory is not None  # or the config would have no such output
        assert call.owner is not None  # items() saw to it
        tag, until_ns, port = life.named_by(call.owner), call.deadline_ns or 0, self._outputs[port_of(tensor)]
        elements = elements_of(value) if port.list else [value]
        if self._device is not None:
            packed = [self._device.put(tensor, each, port, tag, until_ns) for each in elements]
        else:
            packed = [self._memory.put(as_element(each, port), tag, until_ns) for each in elements]
        refs = np.frombuffer(b"".join(packed), np.uint8)
        return refs.reshape(-1, REF_BYTES) if port.list else refs


def _tag_of(call: Call) -> Tag | None:
    """The live request that owns what the call is about; None where it is nobody's."""
    if call.owner is None:
        if any(name.endswith((REF, DREF)) for name in call.wanted):
            raise _bad_input("an output by ref is asked for by nobody who could own it")
        return None
    try:
        return life.tag_of(call.owner)
    except InvalidOwnerError as error:
        raise _bad_input(str(error)) from None


def _check_wanted(call: Call, cancelled: bool) -> None:
    if cancelled or life.is_over(call.owner):
        raise RefusedError(Failure("CANCELLED", "cancelled"))
    if call.deadline_ns is not None and call.deadline_ns <= time.monotonic_ns():
        raise RefusedError(Failure("UNAVAILABLE", "the deadline passed before it was started"))


def _stack(name: str, arrays: Sequence[Array]) -> Array:
    if any(array.shape != arrays[0].shape for array in arrays):
        raise _bad_result(f"its output {name} has another shape for another item of the same request")
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)


def _bad_input(text: str) -> RefusedError:
    return RefusedError(Failure("INVALID_ARG", text))


def _bad_result(text: str) -> RefusedError:
    return RefusedError(Failure("INTERNAL", text))
