"""What components get: the model's examples in, the inputs of every call that they lead to out.

The flow runs in plain Python, as its author would test it, with components that are called on the server. So
a component deep in the graph is measured with what it really gets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tritonclient.grpc import InferResult

from corntriton.errors import CorntritonError
from corntriton.load.connection import Connection
from corntriton.load.examples import SYNTHETIC_LENGTHS, Example, made_up
from corntriton.load.request import Request
from corntriton.profiler.bed import Bed
from corntriton.profiler.subject import Subject
from corntriton.profiler.work import Measure, UnmeasurableError
from corntriton.record.direct import run_directly
from corntriton.record.signature import Port, Signature
from corntriton.repository import component_model
from corntriton.runtime.tensors import Array, BadValueError, as_array
from corntriton.spec.load import LoadedModel

Pieces = list[dict[str, Array]]
# Of a component: how its work is counted, and what the workload says of it for a request type.
Counter = Callable[[str, str], Measure | float]


@dataclass(frozen=True)
class Item:
    """What one call of a component gets.

    Attributes:
        inputs: Arrays without batch dimension.
        work: How much work it is.
        synthetic: The inputs were made up, or follow from made-up ones.
        outputs: Bytes of each output.
    """

    inputs: Mapping[str, Array]
    work: float
    synthetic: bool
    outputs: Mapping[str, int]


class Recorder:
    """Runs examples, and keeps what each component gets.

    Args:
        bed: Where the components are called.
        subjects: Each component by itself, by `model/component`.
        names: The same names, for every `model/component` that is served as another's.
        count: How the work of a component's calls is told, for a request type `model/type`.
    """

    def __init__(
        self, bed: Bed, subjects: Mapping[str, Subject], names: Mapping[str, str], count: Counter
    ) -> None:
        self._bed = bed
        self._subjects = subjects
        self._names = names
        self._count = count
        self.items: dict[str, list[Item]] = {name: [] for name in subjects}
        self.failures: list[str] = []

    def run(self, model: LoadedModel, example: Example) -> None:
        """Runs the flow on an example; a made-up one may fail, and then teaches as much as it did."""
        said = model.spec.request_types[example.request_type]
        ports = model.signature.ports.inputs
        values = {name: _value(value, ports[name]) for name, value in example.values.items()}
        components = {name: self._component(model, name, example) for name in model.components}
        try:
            run_directly(model.flow, model.signature, values, said.parameters, said.outputs, components)
        except (CorntritonError, BadValueError, UnmeasurableError) as error:
            where = f"{model.name}/{example.request_type}, {example.name}"
            if not example.synthetic:
                raise CorntritonError(f"the example {where} failed: {error}") from error
            self.failures.append(f"{where}: {error}")

    def fill(self, name: str) -> None:
        """Makes items up for a component that no example led to."""
        signature, random = self._subjects[name].served.component.signature, np.random.default_rng(0)
        for length in SYNTHETIC_LENGTHS:
            inputs = {
                key: as_array(made_up(port, length, random), port)
                for key, port in signature.inputs.items()
                if not port.optional
            }
            try:
                self._call(name, inputs, "", synthetic=True)
            except (CorntritonError, UnmeasurableError) as error:
                self.failures.append(f"{name}, made up {length}: {error}")

    def _component(
        self, model: LoadedModel, name: str, example: Example
    ) -> Callable[[dict[str, Any]], Pieces]:
        full = self._names[f"{model.name}/{name}"]
        ports = model.components[name].signature.inputs

        def call(inputs: dict[str, Any]) -> Pieces:
            arrays = {key: as_array(value, ports[key]) for key, value in inputs.items()}
            request_type = f"{model.name}/{example.request_type}"
            try:
                return self._call(full, arrays, request_type, example.synthetic)
            except (CorntritonError, UnmeasurableError) as error:
                raise CorntritonError(f"component {name}: {error}") from None

        return call

    def _call(self, name: str, inputs: dict[str, Array], request_type: str, synthetic: bool) -> Pieces:
        subject = self._subjects[name]
        self._bed.ensure(subject.model)
        responses = asyncio.run(_responses(self._bed.address, subject.request(inputs)))
        pieces = [read for read in (_outputs(response, subject) for response in responses) if read]
        measure = self._count(name, request_type)
        work = measure if isinstance(measure, float) else measure.of(inputs, _whole(pieces), len(pieces))
        sizes = {key: _nbytes(value) for key, value in _whole(pieces).items()}
        self.items[name].append(Item(inputs, work, synthetic, sizes))
        signature = subject.served.component.signature
        return [_as_values(piece, signature) for piece in pieces]


def choose(items: Iterable[Item], most: int) -> dict[float, list[Item]]:
    """Items by work: the least, the most, and evenly between, where there are more works than `most`."""
    by_work: dict[float, list[Item]] = {}
    for item in items:
        by_work.setdefault(item.work, []).append(item)
    works = sorted(by_work)
    if len(works) > most:
        picked = np.linspace(works[0], works[-1], most)
        works = sorted({min(works, key=lambda work: abs(work - wanted)) for wanted in picked})
    return {work: _different(by_work[work]) for work in works}


async def _responses(address: str, request: Request) -> list[Any]:
    async with Connection(address) as connection:
        return await connection.responses(request)


def _outputs(response: Any, subject: Subject) -> dict[str, Array]:
    """Under the component's own names, without batch dimension."""
    target = component_model.target(subject.served, 1, True)
    result = InferResult(response)
    found = {}
    for name in subject.served.component.signature.outputs:
        array = result.as_numpy(target.output_names.get(name, name))
        if array is not None:
            found[name] = array[0] if target.batched else array
    return found


def _whole(pieces: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """What a measure is told of a stream: texts put together, arrays in a row."""
    whole: dict[str, Array] = {}
    for name in dict.fromkeys(name for piece in pieces for name in piece):
        parts = [piece[name] for piece in pieces if name in piece]
        if len(parts) > 1 and parts[0].dtype == np.object_:
            joined = b"".join(bytes(element) for part in parts for element in part.flat)
            whole[name] = np.array([joined], object)
        else:
            whole[name] = np.concatenate(parts) if len(parts) > 1 else parts[0]
    return whole


def _as_values(piece: Mapping[str, Array], signature: Signature) -> dict[str, Any]:
    return {name: list(array) if signature.outputs[name].list else array for name, array in piece.items()}


def _value(value: Any, port: Port) -> Any:
    return list(value) if port.list else value


def _different(items: Sequence[Item]) -> list[Item]:
    """A few of equal work that differ in their shapes or values."""
    seen: dict[bytes, Item] = {}
    for item in items:
        key = b"".join(_bytes(name, array) for name, array in sorted(item.inputs.items()))
        seen.setdefault(key, item)
    return [*seen.values()][:4]


def _bytes(name: str, array: Array) -> bytes:
    content = repr(array.tolist()).encode() if array.dtype == np.object_ else array.tobytes()
    return f"{name} {array.shape}".encode() + content


def _nbytes(array: Array) -> int:
    return sum(map(len, array.flat)) if array.dtype == np.object_ else array.nbytes
