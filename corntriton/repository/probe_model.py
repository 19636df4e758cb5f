"""The readiness probe of a model: the ensemble `<model>_ready`, and the gate that joins its steps.

Triton keeps an ensemble ready exactly while all models of its steps are: it unloads it when one of them
is unloaded or fails to load, and loads it when they are back. So the probe names every model that the
orchestrator calls, and the orchestrator; and the ensembles that paths were compiled to, since one that does
not load shows nowhere else.

A step's output must be used, and tensors that come from different decoupled models must not meet: an
ensemble of two streaming components is refused unless one follows the other. The gate, a model whose
inputs and outputs fit them all, makes them follow each other:

    probe ─> gate ─> unary models ─> gate ─> streaming model ─> gate ─> streaming model ─> gate ─> ready

Nothing ever runs: the gate answers every request with an error, and it comes first.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path as File
from typing import Any

from corntriton.repository.ensembles import Step
from corntriton.repository.pbtxt import ModelConfig
from corntriton.repository.tensors import Tensor
from corntriton.resources import resource_dir

TEMPLATE = "ready.config.pbtxt.j2"
GATE_TEMPLATE = "ready_gate.config.pbtxt.j2"

_PROBE = Tensor("probe", "TYPE_BOOL", (1,), optional=True)
_READY = Tensor("ready", "TYPE_BOOL", (1,))


def probe_values(name: str, gate: str, called: Sequence[ModelConfig]) -> dict[str, Any]:
    """What the template of the ensemble is rendered with; `called`: the configs of what it stands for."""
    unary = [config for config in called if not config.model_transaction_policy.decoupled]
    streaming = [config for config in called if config.model_transaction_policy.decoupled]
    steps, before = [], [_PROBE.name]
    for rank in [unary, *([config] for config in streaming)]:
        steps.append(Step(gate, _same(before), _same(name for config in rank for name in _inputs(config))))
        steps += [_step(config) for config in rank]
        before = [_output(config) for config in rank]
    steps.append(Step(gate, _same(before), _same([_READY.name])))
    return {"name": name, "gate": gate, "steps": steps, "called": [config.name for config in called]}


def gate_values(name: str, probe: str, called: Sequence[ModelConfig]) -> dict[str, Any]:
    """What the template of the gate's config is rendered with."""
    inputs = [_tensor(config, config.output[0], _output(config), optional=True) for config in called]
    outputs = [
        _tensor(config, tensor, _input(config, tensor.name))
        for config in called
        for tensor in _mapped(config)
    ]
    return {"name": name, "probe": probe, "inputs": [_PROBE, *inputs], "outputs": [*outputs, _READY]}


def write(folder: File) -> None:
    """Fills the ensemble's version folder, which Triton wants to see; object stores forget empty ones."""
    folder.mkdir(parents=True)
    (folder / ".keep").write_bytes(b"")


def write_gate(folder: File) -> None:
    """Fills the gate's version folder."""
    folder.mkdir(parents=True)
    shutil.copyfile(resource_dir("python_backends") / "ready_gate" / "model.py", folder / "model.py")


def _step(config: ModelConfig) -> Step:
    inputs = {tensor.name: _input(config, tensor.name) for tensor in _mapped(config)}
    return Step(config.name, inputs, {config.output[0].name: _output(config)})


def _mapped(config: ModelConfig) -> list[Any]:
    """The inputs that a step has to map: those that are not optional, and one in any case."""
    return [tensor for tensor in config.input if not tensor.optional] or [config.input[0]]


def _inputs(config: ModelConfig) -> list[str]:
    return [_input(config, tensor.name) for tensor in _mapped(config)]


def _input(config: ModelConfig, name: str) -> str:
    return f"{config.name}.in.{name}"


def _output(config: ModelConfig) -> str:
    return f"{config.name}.out.{config.output[0].name}"


def _tensor(config: ModelConfig, tensor: Any, name: str, optional: bool = False) -> Tensor:
    """The gate has no batch dimension, so that of the model is one of its own."""
    batch = (-1,) if config.max_batch_size else ()
    data_type = (
        type(tensor).DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number[tensor.data_type].name
    )
    return Tensor(name, data_type, (*batch, *tensor.dims), optional)


def _same(names: Any) -> dict[str, str]:
    return {name: name for name in names}
