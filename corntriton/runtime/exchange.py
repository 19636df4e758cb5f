"""What calls of targets are made of, however they travel: a task goes in, tensors to send come out, and back.

Large tensors are named by refs, which the call has to bring to where it goes: see `Bring`.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

from corntriton.runtime.compiled import HERE, Step
from corntriton.runtime.failures import CallError
from corntriton.runtime.parcel import ByRef, unpack
from corntriton.runtime.part import Bring, brought, parcel_of
from corntriton.runtime.refs import Refs
from corntriton.runtime.replay import Outputs, Task
from corntriton.runtime.settings import CALL, DREF, ERROR_OUTPUT, REF, RESULT, Target
from corntriton.runtime.shm.errors import TooLargeError
from corntriton.runtime.tensors import Array, BadValueError
from corntriton.runtime.values import TensorValue, constant_array, inline

# Triton's outputs by name: as the server gave them, or arrays without batch dimension.
Given = Mapping[str, TensorValue | Array]


class Exchange:
    """Makes the inputs of calls, and reads their outputs.

    Args:
        targets: By name.
    """

    def __init__(self, targets: Mapping[str, Target]) -> None:
        self._targets = targets
        # Two orchestrators may send sequences to the same component.
        self._correlations = itertools.count(random.getrandbits(40) << 20)

    def inputs(self, task: Task, bring: Bring | None) -> dict[str, TensorValue | Array]:
        """The Triton model's inputs by its own names, with batch dimension where it has one.

        Args:
            task: What to call.
            bring: Makes refs good where the call goes; None where they are.

        Raises:
            ArenaFullError: There is no room for what goes by ref.
            TooLargeError: There never will be.
            BadValueError: A value has no array.
        """
        target = self._targets[task.step.target]
        if task.step.group is not None:
            sequence = self.sequence(task) if task.step.group.sequenced else None
            return {CALL: parcel_of(task, sequence, bring)}
        sent: dict[str, Any] = dict(self._input(task, name, target) for name in task.inputs)
        if bring is not None:
            sent = brought(sent, bring)
        for name, value in sent.items():
            if isinstance(value, ByRef):
                sent[name] = value.refs[None] if target.batched else value.refs
        sent.update((name, constant_array(value)) for name, value in target.constants.items())
        return sent

    def wanted(self, step: Step) -> list[str]:
        """The Triton model's outputs to ask for."""
        target = self._targets[step.target]
        told = [ERROR_OUTPUT] if target.tells_errors else []
        if step.group is not None:
            return [RESULT, *told]
        by_ref = [name + REF for name in step.uses if name in target.ref_outputs]
        if target.dref_outputs:
            by_ref = [tensor for name in step.uses for tensor in self._refs_wanted(name, step, target)]
        inline = [name for name in step.uses if name not in target.ref_outputs or target.spills]
        return [*by_ref, *(target.output_names.get(name, name) for name in inline), *told]

    def sequence(self, task: Task) -> tuple[int, bool, bool] | None:
        """For a chunk: its sequence's id, whether it is the first, whether it is the last.

        The chunks of a sequence come one after the other, so no lock.
        """
        if task.chunk is None:
            return None
        known = task.replay.context.correlations
        if task.step.index not in known:
            known[task.step.index] = next(self._correlations)
        return known[task.step.index], task.chunk.first, task.chunk.last

    def outputs(self, task: Task, given: Given) -> Outputs:
        """What the component gave, of what the Triton model did.

        Raises:
            CallError: It told a failure.
        """
        target = self._targets[task.step.target]
        if ERROR_OUTPUT in given:
            code, text = json.loads(_item(given[ERROR_OUTPUT])[0])
            raise CallError(text, code)
        refs: Refs = task.replay.context.refs
        if task.step.group is not None:
            return _unpacked(given, refs)
        names = {target.output_names.get(name, name): name for name in task.step.uses}
        on_host = dict(given)
        on_device = {name: on_host.pop(name + DREF) for name in target.dref_outputs if name + DREF in given}
        found: dict[str, Any] = {
            names[name.removesuffix(REF)]: refs.unpack(_item(value)) if name.endswith(REF) else value
            for name, value in on_host.items()
        }
        for name, value in on_device.items():
            host = given.get(name + REF)
            found[name] = refs.unpack_both(None if host is None else _item(host), _item(value))
        return found

    def _input(self, task: Task, name: str, target: Target) -> tuple[str, TensorValue | Array | ByRef]:
        value, port, refs = task.inputs[name], task.step.ports[name], task.replay.context.refs
        if name in target.ref_inputs:
            try:
                return name + REF, ByRef(refs.pack(value, port, name in target.dref_inputs))
            except TooLargeError:
                if not target.spills:
                    raise
            except BadValueError as error:
                raise BadValueError(f"{name} {error}") from None
        triton_name = target.input_names.get(name, name)
        return triton_name, inline(triton_name, value, port, target.batched)

    def _refs_wanted(self, name: str, step: Step, target: Target) -> Iterator[str]:
        """An output's refs: for readers on GPUs, and for all others, where there are such.

        One that comes in pieces may have to be joined here.
        """
        takers = step.takers.get(name, frozenset({HERE}))
        on_device = set()
        if name in target.dref_outputs and not step.emits:
            on_device = {taker for taker in takers - {HERE} if self._reads_device(*taker, target)}
        if on_device:
            yield name + DREF
        if name in target.ref_outputs and takers - on_device:
            yield name + REF

    def _reads_device(self, to: str, port: str, producer: Target) -> bool:
        """Whether this input can be given what lies in the memory of the producer's GPU."""
        taker = self._targets[to]
        return port in taker.dref_inputs and taker.server == producer.server


def _unpacked(given: Given, refs: Refs) -> Outputs:
    """What an executor gave."""
    # Copied: the server frees a tensor's memory with the tensor, whoever still has a view of it.
    parcel = unpack(_item(given[RESULT]).copy())[0] if given else {}
    return {
        name: refs.unpack(value.refs) if isinstance(value, ByRef) else value for name, value in parcel.items()
    }


def _item(value: TensorValue | Array) -> Array:
    return value.item if isinstance(value, TensorValue) else value
