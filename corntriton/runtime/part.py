"""A call of an executor: a task of a replay goes in, what the executor is sent comes out."""

from __future__ import annotations

from typing import Any

from corntriton.runtime.parcel import pack
from corntriton.runtime.replay import Task
from corntriton.runtime.settings import PATH
from corntriton.runtime.tensors import Array
from corntriton.runtime.values import array_of


def parcel_of(task: Task, sequence: tuple[int, bool, bool] | None = None) -> Array:
    """The part of the path that an executor is to run, and the values that enter it.

    The path goes along with each call, some hundred bytes: an executor compiles it once and knows it by
    its bytes. So paths that are recorded while serving need nothing that those of a plan do not.

    Args:
        task: Of a step that is a group.
        sequence: For a consumer of chunks that keeps state: its sequence's id, whether the chunk is the
            first, whether it is the last.
    """
    group = task.step.group
    assert group is not None  # by the caller
    # As they come where somebody takes them as they come; else together, in one response.
    note: dict[str, Any] = {"streams": group.feeds or task.replay.streams}
    if sequence is not None:
        note["sequence"] = sequence
    values = {name: array_of(value, group.ports[name]) for name, value in task.inputs.items()}
    return pack({PATH: group.path, **values}, note)
