"""Runs a flow in plain Python on real values: what tests a flow without a server."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from corntriton.record.evaluate import Component, Evaluation
from corntriton.record.facts import Facts
from corntriton.record.flow import Flow
from corntriton.record.path import Scalar
from corntriton.record.signature import ModelSignature
from corntriton.record.trace import Trace


def run_directly(
    flow: Flow,
    model: ModelSignature,
    values: Mapping[str, Any],
    parameters: Mapping[str, Scalar],
    wanted: Collection[str],
    components: Mapping[str, Component],
) -> dict[str, Any]:
    """Runs the flow and calls each component as the flow comes to it.

    The flow handles symbols as it does while it is recorded, so what runs here can be recorded.

    Args:
        flow: The flow.
        model: The ports.
        values: The request's inputs, arrays or Python values; a list for a list input.
        parameters: The request's parameters.
        wanted: The outputs that the client asks for.
        components: What to call, by name: inputs by name enter, outputs by name leave.

    Returns:
        The model's outputs; streams are joined.

    Raises:
        RecordError: The flow cannot be recorded.
    """
    evaluation = Evaluation(model, values, components)
    facts = facts_of(model, values, parameters, wanted)
    path = Trace(flow, model, facts, on_invocation=evaluation.run).run()
    return evaluation.outputs(path)


def facts_of(
    model: ModelSignature,
    values: Mapping[str, Any],
    parameters: Mapping[str, Scalar],
    wanted: Collection[str],
) -> Facts:
    """The facts of a request that is at hand in full."""
    lists = {name for name, port in model.ports.inputs.items() if port.list}
    shapes = {name: _shape(value) for name, value in values.items() if name not in lists}
    counts = {name: len(value) for name, value in values.items() if name in lists}
    return Facts(shapes, counts, frozenset(wanted), parameters)


def _shape(value: Any) -> tuple[int, ...]:
    if isinstance(value, (str, bytes, int, float)):
        return (1,)  # as a request carries it
    import numpy as np  # recording needs none

    return tuple(np.shape(value))
