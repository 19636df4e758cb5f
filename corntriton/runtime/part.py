"""A call of an executor: a task of a replay goes in, what the executor is sent comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from corntriton.record.signature import Port
from corntriton.runtime.parcel import ByRef, pack
from corntriton.runtime.refs import Refs
from corntriton.runtime.replay import Task
from corntriton.runtime.settings import PATH
from corntriton.runtime.shm.elements import encoded_bytes
from corntriton.runtime.tensors import Array
from corntriton.runtime.values import RefValue, array_of

# A call of an executor goes to it alone: nothing has to be alike among those that are batched together, so
# each tensor goes the way that suits its size.
_LARGE_BYTES = 16 * 1024

# Takes arrays of refs, of shape [..., 192], and gives as many that are good where the call goes.
Bring = Callable[[Sequence[Array]], Sequence[Array]]


def parcel_of(
    task: Task, sequence: tuple[int, bool, bool] | None = None, bring: Bring | None = None
) -> Array:
    """The part of the path that an executor is to run, and the values that enter it.

    The path goes along with each call, some hundred bytes: an executor compiles it once and knows it by
    its bytes. So paths that are recorded while serving need nothing that those of a plan do not.

    Args:
        task: Of a step that is a group.
        sequence: For a consumer of chunks that keeps state: its sequence's id, whether the chunk is the
            first, whether it is the last.
        bring: Makes refs good where the call goes; None where they are.
    """
    group = task.step.group
    assert group is not None  # by the caller
    # As they come where somebody takes them as they come; else together, in one response.
    note: dict[str, Any] = {"streams": group.feeds or task.replay.streams, "refs": sorted(group.whole)}
    if sequence is not None:
        note["sequence"] = sequence
    refs: Refs = task.replay.context.refs
    values = {name: _packed(value, group.ports[name], refs) for name, value in task.inputs.items()}
    if bring is not None:
        values = brought(values, bring)
    return pack({PATH: group.path, **values}, note)


def brought(values: Mapping[str, Any], bring: Bring) -> dict[str, Any]:
    """The values with their refs brought to where they are read, all at once."""
    by_ref = {name: value.refs for name, value in values.items() if isinstance(value, ByRef)}
    if not by_ref:
        return dict(values)
    return {**values, **dict(zip(by_ref, map(ByRef, bring([*by_ref.values()])), strict=True))}


def is_large(array: Array) -> bool:
    """Whether it is worth the way through shared memory."""
    nbytes = encoded_bytes(array) if array.dtype == object else array.nbytes
    return nbytes >= _LARGE_BYTES


def _packed(value: Any, port: Port, refs: Refs) -> Array | ByRef:
    if _lies_in_memory(value):
        return ByRef(refs.pack(value, port))
    array = array_of(value, port)
    return ByRef(refs.pack(value, port)) if is_large(array) else array


def _lies_in_memory(value: Any) -> bool:
    return isinstance(value, RefValue) or (isinstance(value, list) and any(map(_lies_in_memory, value)))
