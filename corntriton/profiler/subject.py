"""What is measured: a component alone in its Triton model, or inside an executor with others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from corntriton.load.request import Request, encode
from corntriton.record.codec import path_to_json
from corntriton.record.path import Input, Invocation, Output, Path, Scalar
from corntriton.repository import component_model
from corntriton.repository.served import Served
from corntriton.runtime.parcel import pack
from corntriton.runtime.settings import CALL, PATH, RESULT
from corntriton.runtime.tensors import Array

# The one invocation in the path that an executor is sent.
_ID = "measured"


@dataclass(frozen=True)
class Subject:
    """A component where it is measured.

    Attributes:
        name: `model/component`, as profiles have it.
        served: The component.
        model: The Triton model to call.
        beside: The others in the same process, by the names that profiles have.
    """

    name: str
    served: Served
    model: str
    beside: tuple[str, ...] = ()

    @property
    def streams(self) -> bool:
        """Its outputs come in chunks."""
        return self.served.component.signature.streaming

    @property
    def joint(self) -> bool:
        """It is a member of an executor, which is called with parts of paths."""
        return bool(self.beside)

    @property
    def max_batch(self) -> int:
        """The most that is worked on at once; sequences are measured one by one."""
        spec = self.served.component.spec
        return 1 if spec.stateful else max(1, spec.batching.max_batch_size)

    @property
    def batches(self) -> tuple[int, ...]:
        """What is measured: powers of two, and the most."""
        if self.joint:  # each needs a build of its own
            return tuple(sorted({1, self.max_batch}))
        powers = (1 << power for power in range(self.max_batch.bit_length()))
        return tuple(sorted({*powers, self.max_batch}))

    def request(self, inputs: Mapping[str, Array], rows: int = 1) -> Request:
        """A request for the component alone; its rows are all the same.

        Args:
            inputs: Arrays without batch dimension.
            rows: How many; an executor takes one.
        """
        return self._parcel(inputs) if self.joint else self._tensors(inputs, rows)

    def _tensors(self, inputs: Mapping[str, Array], rows: int) -> Request:
        target = component_model.target(self.served, 1, True)
        tensors = {
            target.input_names.get(name, name): np.stack([array] * rows) if target.batched else array
            for name, array in inputs.items()
        }
        for name, value in target.constants.items():
            tensors[name] = (
                np.array([value.encode()], object) if isinstance(value, str) else np.array([value])
            )
        outputs = self.served.component.signature.outputs
        names = [target.output_names.get(name, name) for name in outputs]
        return encode(self.model, tensors, names, self._sequence(), self.streams)

    def _sequence(self) -> dict[str, Scalar]:
        if not self.served.component.spec.stateful:
            return {}
        return {"sequence_id": 1, "sequence_start": True, "sequence_end": True}

    def _parcel(self, inputs: Mapping[str, Array]) -> Request:
        outputs = self.served.component.signature.outputs
        invocation = Invocation(_ID, self.served.name, {name: Input(name) for name in inputs})
        path = Path((), (invocation,), {f"{_ID}.{name}": Output(_ID, name) for name in outputs})
        text = json.dumps(path_to_json(path), separators=(",", ":")).encode()
        values = {PATH: np.frombuffer(text, np.uint8), **inputs}
        return encode(self.model, {CALL: pack(values, {"streams": self.streams})}, [RESULT], streams=True)
