"""What a client asks for: Triton's request goes in, the model's inputs come out, and what finds the path."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from corntriton.record.facts import OUTPUTS_PARAMETER, Facts
from corntriton.record.signature import ModelSignature
from corntriton.runtime.failures import BadRequestError
from corntriton.runtime.values import TensorValue


def asked_for(request: Any, model: ModelSignature) -> tuple[dict[str, TensorValue], Facts]:
    """The inputs of a request of this model, and its facts.

    Raises:
        BadRequestError: An input is missing, or it wants an output that there is not.
    """
    inputs = {tensor.name(): TensorValue(tensor, batched=False) for tensor in request.inputs()}
    ports = model.ports.inputs
    missing = [name for name, port in ports.items() if not port.optional and name not in inputs]
    if missing:
        raise BadRequestError(f"the input {', '.join(missing)} is missing")
    parameters = json.loads(request.parameters() or "{}")
    wanted = _wanted(request, parameters, model.ports.outputs)
    shapes = {name: tuple(value.tensor.shape()) for name, value in inputs.items()}
    return inputs, Facts(
        shapes={name: shape for name, shape in shapes.items() if not ports[name].list},
        counts={name: shape[0] for name, shape in shapes.items() if ports[name].list},
        wanted=wanted,
        parameters=parameters,
    )


def _wanted(request: Any, parameters: dict[str, Any], outputs: Mapping[str, Any]) -> frozenset[str]:
    """The outputs that the request names, in Triton's way or by parameter; all if it names none."""
    named = parameters.pop(OUTPUTS_PARAMETER, None)
    if named is None:
        return frozenset(request.requested_output_names()) or frozenset(outputs)
    wanted = frozenset(name.strip() for name in str(named).split(","))
    if unknown := sorted(wanted - outputs.keys()):
        raise BadRequestError(
            f"the parameter {OUTPUTS_PARAMETER} names {', '.join(unknown)}; there is {', '.join(outputs)}"
        )
    return wanted
