"""Calls components through Triton's BLS: inputs by name go in, outputs by name come out, or a CallError.

A call fails in four ways: the component raised, the server refused it, the process that ran it died, or an
input was lost with the process in whose device memory it lay. Only the last two are worth a second try.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from corntriton.record.signature import Port
from corntriton.runtime.compiled import HERE, Step
from corntriton.runtime.failures import CallError
from corntriton.runtime.metrics import Meter, target_labels
from corntriton.runtime.parcel import ByRef, unpack
from corntriton.runtime.part import parcel_of
from corntriton.runtime.refs import Refs
from corntriton.runtime.replay import Outputs, Task
from corntriton.runtime.settings import CALL, DREF, ERROR_OUTPUT, REF, RESULT, Target
from corntriton.runtime.shm.credential import PARAMETER as OWNER_PARAMETER
from corntriton.runtime.shm.errors import TooLargeError
from corntriton.runtime.shm.owner import OwnedRequest
from corntriton.runtime.spent import SpentStreams
from corntriton.runtime.tensors import BadValueError
from corntriton.runtime.values import TensorValue, ValueCaller, constant_array, on_devices, tensor_of

DEADLINE_PARAMETER = "corntriton_deadline_ns"
_CODES = ("NOT_FOUND", "INVALID_ARG", "UNAVAILABLE", "UNSUPPORTED", "ALREADY_EXISTS", "CANCELLED")
# In an ensemble, one edge after the other may turn out to lead over GPUs that do not reach each other.
_MOST_LOSSES = 8
_SEQUENCE_START, _SEQUENCE_END = 1, 2  # TRITONSERVER_REQUEST_FLAG_SEQUENCE_START and _END


@dataclass
class Context:
    """What every call of one request carries along.

    Attributes:
        request_id: The client's.
        deadline_ns: On the monotonic clock.
        owned: The life of the request's tensors.
        refs: Gives and takes them by ref.
        ask_client: Ends the request if its client has left.
        on_over: Called when the request is over: ends the streams it still reads.
        correlations: The sequence number of each stateful step.
    """

    request_id: str
    deadline_ns: int
    owned: OwnedRequest
    refs: Refs
    ask_client: Callable[[], None] = lambda: None
    on_over: dict[int, Callable[[], object]] = field(default_factory=dict)
    correlations: dict[int, int] = field(default_factory=dict)
    parameters: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = {DEADLINE_PARAMETER: self.deadline_ns, OWNER_PARAMETER: self.owned.text}


class BlsCaller(ValueCaller):
    """The `Caller` of a replay inside Triton."""

    def __init__(
        self,
        pb_utils: Any,
        targets: Mapping[str, Target],
        meter: Meter,
        spent: SpentStreams,
    ) -> None:
        self._pb_utils = pb_utils
        self._targets = targets
        self._meter = meter
        self._labels = target_labels(targets)
        self._spent = spent
        self._code_names = {int(getattr(pb_utils.TritonError, name)): name for name in _CODES}
        # Two orchestrators may send sequences to the same component.
        self._correlations = itertools.count(random.getrandbits(40) << 20)

    def sequenced(self, step: Step) -> bool:
        """Whether chunks go to it as a sequence with an end."""
        return step.group.sequenced if step.group is not None else self._targets[step.target].stateful

    def call(self, task: Task) -> Outputs:
        """Calls a unary component; once more if its process died, or an input's, and it is idempotent.

        Raises:
            CallError: It failed.
        """
        with self._meter.invocation(self._labels[task.step.target]), task.replay.context.owned.invocation():
            return self._call(task)

    def stream(self, task: Task) -> Iterator[Outputs]:
        """Calls a streaming component and gives what it emits; repeats as `call` does, while nothing came.

        Raises:
            CallError: It failed, perhaps after it had emitted something.
        """
        with self._meter.invocation(self._labels[task.step.target]), task.replay.context.owned.invocation():
            emitted = False
            try:
                for outputs in self._stream(task):
                    emitted = True
                    yield outputs
            except CallError as error:
                if emitted:
                    raise
                self._prepare_repetition(task, error, 0)
                yield from self._stream(task)

    def _call(self, task: Task) -> Outputs:
        n_before = 0
        while True:
            try:
                return self._outputs(task, self._request(task).exec())
            except CallError as error:
                self._prepare_repetition(task, error, n_before)
                n_before += 1

    def _stream(self, task: Task) -> Iterator[Outputs]:
        responses = self._request(task).exec(decoupled=True)
        # WAR (24.10): there is no cancel, and the component reads the request's life cell instead. The
        # newest servers have both; the cell can go when `cancel` also exists for unary calls.
        cancel = getattr(responses, "cancel", None)
        context: Context = task.replay.context
        on_over = context.on_over
        if cancel is not None:
            on_over[id(responses)] = cancel
            if not task.alive:  # over before it could be noted
                cancel()
        try:
            for response in responses:
                outputs = self._outputs(task, response)
                if outputs:  # the last response of a stream is often empty
                    yield outputs
        except CallError:
            for _ in responses:  # an iterator that is not read to its end is never let go
                pass
            raise
        finally:
            on_over.pop(id(responses), None)
            self._spent.keep(responses)
            context.ask_client()

    def _request(self, task: Task) -> Any:
        step, context, target = task.step, task.replay.context, self._targets[task.step.target]
        sequence: dict[str, int] = {}
        if target.stateful and task.chunk is not None:
            sequence["correlation_id"] = self._correlation(context, task.step.index)
            sequence["flags"] = _SEQUENCE_START * task.chunk.first | _SEQUENCE_END * task.chunk.last
        # WAR (24.10): no `trace`. The server frees a request's trace once execute has returned, which is
        # before most calls are made, and a call that names a freed one ends the server.
        return self._pb_utils.InferenceRequest(
            model_name=target.model_name,
            request_id=context.request_id,
            inputs=self._inputs(task, target),
            requested_output_names=self._wanted(step, target),
            timeout=max(1, (context.deadline_ns - time.monotonic_ns()) // 1000),
            parameters=context.parameters,
            **sequence,
        )

    def _wanted(self, step: Step, target: Target) -> list[str]:
        """The Triton model's outputs to ask for."""
        told = [ERROR_OUTPUT] if target.tells_errors else []
        if step.group is not None:
            return [RESULT, *told]
        by_ref = [name + REF for name in step.uses if name in target.ref_outputs]
        if target.dref_outputs:
            by_ref = [tensor for name in step.uses for tensor in self._refs_wanted(name, step, target)]
        inline = [name for name in step.uses if name not in target.ref_outputs or target.spills]
        return [*by_ref, *(target.output_names.get(name, name) for name in inline), *told]

    def _refs_wanted(self, name: str, step: Step, target: Target) -> Iterator[str]:
        """An output's refs: for readers on GPUs, and for all others, where there are such.

        One that comes in pieces may have to be joined here.
        """
        takers = step.takers.get(name, frozenset({HERE}))
        on_device = set()
        if name in target.dref_outputs and not step.emits:
            on_device = {(to, port) for to, port in takers - {HERE} if port in self._targets[to].dref_inputs}
        if on_device:
            yield name + DREF
        if name in target.ref_outputs and takers - on_device:
            yield name + REF

    def _outputs(self, task: Task, response: Any) -> Outputs:
        if response.has_error():
            error = response.error()
            raise CallError(error.message(), self._code_names.get(int(error.code()), "INTERNAL"))
        target = self._targets[task.step.target]
        outputs = {tensor.name(): TensorValue(tensor, target.batched) for tensor in response.output_tensors()}
        if ERROR_OUTPUT in outputs:
            code, text = json.loads(outputs[ERROR_OUTPUT].item[0])
            raise CallError(text, code)
        refs: Refs = task.replay.context.refs
        if task.step.group is not None:
            # Copied: the server frees a tensor's memory with the tensor, whoever still has a view of it.
            parcel = unpack(outputs[RESULT].item.copy())[0] if outputs else {}
            return {
                name: refs.unpack(value.refs) if isinstance(value, ByRef) else value
                for name, value in parcel.items()
            }
        names = {target.output_names.get(name, name): name for name in task.step.uses}
        on_device = {name: outputs.pop(name + DREF) for name in target.dref_outputs if name + DREF in outputs}
        found: dict[str, Any] = {
            names[name.removesuffix(REF)]: refs.unpack(value.item) if name.endswith(REF) else value
            for name, value in outputs.items()
        }
        for name, value in on_device.items():
            on_host = outputs.get(name + REF)
            found[name] = refs.unpack_both(None if on_host is None else on_host.item, value.item)
        return found

    def _inputs(self, task: Task, target: Target) -> list[Any]:
        if task.step.group is not None:
            sequence = None
            if task.step.group.sequenced and task.chunk is not None:
                number = self._correlation(task.replay.context, task.step.index)
                sequence = (number, task.chunk.first, task.chunk.last)
            return [self._pb_utils.Tensor(CALL, parcel_of(task, sequence))]
        tensors = [
            self._input(name, value, task.step.ports[name], target, task.replay.context)
            for name, value in task.inputs.items()
        ]
        constants = target.constants.items()
        return [*tensors, *(self._pb_utils.Tensor(name, constant_array(value)) for name, value in constants)]

    def _input(self, name: str, value: Any, port: Port, target: Target, context: Context) -> Any:
        if name in target.ref_inputs:
            try:
                refs = context.refs.pack(value, port, name in target.dref_inputs)
                return self._pb_utils.Tensor(name + REF, refs[None] if target.batched else refs)
            except TooLargeError:
                if not target.spills:
                    raise
            except BadValueError as error:
                raise BadValueError(f"{name} {error}") from None
        triton_name = target.input_names.get(name, name)
        return tensor_of(self._pb_utils, triton_name, value, port, target.batched)

    def _prepare_repetition(self, task: Task, error: CallError, n_before: int) -> None:
        """Makes a call worth repeating that was repeated so often before, and notes that it is; or raises."""
        target = self._targets[task.step.target]
        most = _MOST_LOSSES if error.input_lost else int(error.process_died)
        if not (n_before < most and target.idempotent and not target.stateful and task.alive):
            raise error
        self._meter.retry(self._labels[task.step.target])
        if error.input_lost:
            self._renew_inputs(task, error)

    def _renew_inputs(self, task: Task, error: CallError) -> None:
        """Has the inputs made again that may lie in a GPU's memory, by those that made them.

        That they are called within this call, and beyond their limits, is rare and does no harm.
        """
        lost = {id(each) for value in task.inputs.values() for each in on_devices(value)}
        for index, outputs in enumerate(task.replay.results):
            known = {name: [*on_devices(value)] for name, value in outputs.items()}
            if any(id(each) in lost for values in known.values() for each in values):
                producer = self._targets[task.replay.path.steps[index].target]
                if not producer.idempotent or producer.stateful:
                    raise error
                again = self._call(task.replay.again(index))
                for name, values in known.items():
                    for old, new in zip(values, on_devices(again.get(name)), strict=False):
                        old.renew(new)

    def _correlation(self, context: Context, index: int) -> int:
        """The id of a step's sequence in one request; its chunks come one after the other, so no lock."""
        if index not in context.correlations:
            context.correlations[index] = next(self._correlations)
        return context.correlations[index]
