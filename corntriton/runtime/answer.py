"""From calls to items and from a component's results to the outputs of a call, with every check between."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from corntriton.errors import InvalidRequestError
from corntriton.record.signature import Port, Signature
from corntriton.runtime.item import Item
from corntriton.runtime.life import is_over
from corntriton.runtime.messages import INVALID_REQUEST, Call, Failure
from corntriton.runtime.tensors import NUMPY_DTYPES, Array, BadValueError, as_array, as_value, fits

_MAX_TEXT = 1000


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
    text = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return Failure("INTERNAL", text[:_MAX_TEXT], trace)


class Ports:
    """A component's ports, as its calls have them.

    Args:
        signature: The component's.
        batched: Tensors have a batch dimension.
    """

    def __init__(self, signature: Signature, batched: bool) -> None:
        self._inputs = signature.inputs
        self._outputs = signature.outputs
        self._required = frozenset(name for name, port in signature.inputs.items() if not port.optional)
        self._batched = batched

    def items(self, call: Call, flags: Sequence[int], slot: int) -> list[Item]:
        """The items of a call: one per row of its batch.

        Raises:
            RefusedError: An input is missing, unknown, or of another dtype or shape; or nobody waits for it.
        """
        _check_wanted(call, flags[slot] != 0)
        self._check_inputs(call.inputs)
        if not self._batched:
            return [Item(self._values(call.inputs), call, flags, slot)]
        n_rows = len(next(iter(call.inputs.values()))) if call.inputs else 1
        rows = ({name: array[row] for name, array in call.inputs.items()} for row in range(n_rows))
        return [Item(self._values(row), call, flags, slot) for row in rows]

    def outputs(self, results: Sequence[Any], wanted: frozenset[str]) -> dict[str, Array]:
        """The wanted outputs of a call, from what the component returned for each of its items.

        Raises:
            RefusedError: A result is an exception or no mapping, or an output of it does not fit its port.
        """
        rows = [self._row(result, wanted) for result in results]
        if not self._batched:
            return rows[0]
        return {name: _stack(name, rows) for name in self._outputs if any(name in row for row in rows)}

    def check_complete(self, outputs: Mapping[str, Any], wanted: frozenset[str]) -> None:
        """Refuses outputs that lack one that every response must have."""
        for name in wanted - outputs.keys():
            if not self._outputs[name].optional:
                raise _bad_result(f"it returned no {name}")

    def _values(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        return {name: as_value(array, self._inputs[name]) for name, array in arrays.items()}

    def _check_inputs(self, arrays: Mapping[str, Array]) -> None:
        missing = self._required - arrays.keys()
        if missing:
            raise _bad_input(f"the input {', '.join(sorted(missing))} is missing")
        for name, array in arrays.items():
            port = self._inputs.get(name)
            if port is None:
                raise _bad_input(f"there is no input {name}")
            if array.dtype != NUMPY_DTYPES[port.dtype]:
                raise _bad_input(f"the input {name} is {array.dtype}, not {port.dtype}")
            shape = array.shape[1:] if self._batched else array.shape
            if not fits(shape, _dims(port)):
                raise _bad_input(f"the input {name} has shape {[*shape]}, but its dims are {[*_dims(port)]}")

    def _row(self, result: Any, wanted: frozenset[str]) -> dict[str, Array]:
        if isinstance(result, BaseException):
            raise RefusedError(failure_of(result))
        if not isinstance(result, Mapping):
            raise _bad_result(f"it returned {type(result).__name__} for an item, not a dict of its outputs")
        unknown = result.keys() - self._outputs.keys()
        if unknown:
            raise _bad_result(f"it returned {', '.join(sorted(map(str, unknown)))}, which is no output of it")
        return {
            name: self._array(name, result[name])
            for name in self._outputs
            if name in result and name in wanted
        }

    def _array(self, name: str, value: Any) -> Array:
        try:
            return as_array(value, self._outputs[name])
        except BadValueError as error:
            raise _bad_result(f"its output {name} {error}") from None


def _check_wanted(call: Call, cancelled: bool) -> None:
    if cancelled or is_over(call.life):
        raise RefusedError(Failure("CANCELLED", "cancelled"))
    if call.deadline_ns is not None and call.deadline_ns <= time.monotonic_ns():
        raise RefusedError(Failure("UNAVAILABLE", "the deadline passed before it was started"))


def _dims(port: Port) -> tuple[int, ...]:
    return (-1, *port.dims) if port.list else port.dims


def _stack(name: str, rows: Sequence[Mapping[str, Array]]) -> Array:
    if any(name not in row for row in rows):
        raise _bad_result(f"it returned {name} for some items of a request and not for others")
    arrays = [row[name] for row in rows]
    if any(array.shape != arrays[0].shape for array in arrays):
        raise _bad_result(f"its output {name} has another shape for another item of the same request")
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)


def _bad_input(text: str) -> RefusedError:
    return RefusedError(Failure("INVALID_ARG", text))


def _bad_result(text: str) -> RefusedError:
    return RefusedError(Failure("INTERNAL", text))
