"""Paths, targets and ensembles for tests, without model files; and ensembles run in plain Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from corntriton.record.path import Argument, Guard, Invocation, Path
from corntriton.record.signature import ModelSignature, Port, Signature
from corntriton.repository import ensembles, pbtxt
from corntriton.repository.ensembles import Ensemble
from corntriton.repository.pbtxt import ModelConfig
from corntriton.repository.templates import Templates
from corntriton.repository.tensors import tensors_of, with_refs
from corntriton.repository.ways import Way, ways
from corntriton.runtime.settings import REF, OrchestratorSettings, Route, Target

BIG, SMALL, TEXT = Port("FP32", (-1,)), Port("FP32", (4,)), Port("BYTES")
MANY = Port("FP32", (-1,), list=True)
MAYBE, NUMBER = Port("FP32", (-1,), optional=True), Port("INT32", optional=True)
MODEL = ModelSignature(
    "m",
    Signature({"x": BIG, "four": SMALL, "xs": MANY}, {"y": MAYBE, "z": MAYBE}),
    {
        "grow": Signature({"x": BIG}, {"y": BIG, "size": TEXT}),
        "mix": Signature(
            {"a": BIG, "b": MAYBE, "n": Port("INT32", optional=True)}, {"y": BIG, "maybe": MAYBE}
        ),
        "join": Signature({"items": MANY}, {"y": BIG}),
        "fit": Signature({"four": SMALL}, {"y": SMALL}),
        "exact": Signature({"x": Port("FP32", (8,))}, {"y": BIG}),
        "sing": Signature({"text": TEXT}, {"pcm": BIG}, streaming=True),
    },
)
_TEMPLATES = Templates()


def target(name: str, model: ModelSignature = MODEL, **changes: Any) -> Target:
    """A component hosted by Python, whose ports pass by ref unless they are known to be small."""
    signature = model.components[name]
    options = {"ref_inputs": _large(signature.inputs), "ref_outputs": _large(signature.outputs), **changes}
    return Target(f"m__{name}", True, 2, **options)


def _large(ports: Mapping[str, Port]) -> list[str]:
    return [name for name, port in ports.items() if port.list or -1 in port.dims or len(port.dims) > 1]


def calls(*invocations: tuple[str, Mapping[str, Argument]], **outputs: Argument) -> Path:
    """A path; an invocation's component is its id up to the dot."""
    made = [Invocation(name, name.partition(".")[0], inputs) for name, inputs in invocations]
    return Path((), tuple(made), outputs)


def settings_of(
    paths: Mapping[str, Path],
    targets: Mapping[str, Target] | None = None,
    model: ModelSignature = MODEL,
    **options: Any,
) -> OrchestratorSettings:
    found = {name: target(name, model) for name in model.components}
    return OrchestratorSettings(model, "flow.py:m", {**found, **(targets or {})}, paths, **options)


def way_of(
    path: Path, targets: Mapping[str, Target] | None = None, model: ModelSignature = MODEL, **stops: str
) -> Way:
    routes = {"path": [Route(1.0, stops)]} if stops else {}
    [way] = ways(settings_of({"path": path}, targets, model, routes=routes), "path")
    return way


def config_of(ensemble: Ensemble, sizes: list[int] | None = None) -> ModelConfig:
    """As the shipped template has it, through Triton's protobuf."""
    values = ensembles.config_values(ensemble, sizes or [4] * len(ensemble.steps), ())
    return pbtxt.parse(_TEMPLATES.render(ensembles.TEMPLATE, values))


def member_configs(way: Way) -> dict[str, ModelConfig]:
    """The configs of the models that a path calls, as far as ensembles depend on them."""
    return {way.target(each.id).model_name: _member(way, each) for each in way.path.invocations}


def _member(way: Way, invocation: Invocation) -> ModelConfig:
    signature, called = way.model.components[invocation.component], way.target(invocation.id)
    config = pbtxt.empty()
    config.name, config.max_batch_size = called.model_name, 4 if called.batched else 0
    for ports, by_ref, field, is_input in (
        (signature.inputs, called.ref_inputs, config.input, True),
        (signature.outputs, called.ref_outputs, config.output, False),
    ):
        for tensor in with_refs(tensors_of(ports, is_input), ports, by_ref, is_input):
            added = field.add(name=tensor.name, dims=tensor.dims)
            added.data_type = (
                type(added)
                .DESCRIPTOR.fields_by_name["data_type"]
                .enum_type.values_by_name[tensor.data_type]
                .number
            )
            if is_input:
                added.optional = tensor.optional
    return config


def run(
    config: ModelConfig,
    inputs: Mapping[str, Any],
    components: Mapping[str, Callable[[dict[str, Any]], Mapping[str, Any]]],
) -> dict[str, Any]:
    """What Triton does with an ensemble: each step when its tensors are there. Refs stand for themselves.

    Args:
        config: Of the ensemble.
        inputs: By tensor name.
        components: By model name; they take and give port names.
    """
    tensors, waiting = dict(inputs), [*config.ensemble_scheduling.step]
    while waiting:
        ready = [step for step in waiting if set(step.input_map.values()) <= set(tensors)]
        assert ready, "no step can run"
        for step in ready:
            waiting.remove(step)
            given = {theirs.removesuffix(REF): tensors[ours] for theirs, ours in step.input_map.items()}
            outputs = components[step.model_name](given)
            for theirs, ours in step.output_map.items():
                tensors[ours] = outputs[theirs.removesuffix(REF)]
    return {tensor.name: tensors[tensor.name] for tensor in config.output}


def guarded(path: Path, *guards: Guard) -> Path:
    return Path(guards, path.invocations, path.outputs)
