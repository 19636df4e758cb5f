"""What tritonserver demands of an ensemble; refused at load, all of it."""

from __future__ import annotations

from collections.abc import Iterator

from corntriton.repository.faults import Fault, Surroundings
from corntriton.repository.pbtxt import ModelConfig


def an_ensemble_only_connects(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Refused at load: an ensemble with instances, optimization or warm-up of its own."""
    if config.platform != "ensemble":
        return
    for name in ("instance_group", "optimization", "model_warmup"):
        if getattr(config, name) and (name != "optimization" or config.HasField(name)):
            yield Fault(name, "is not for an ensemble, which runs nothing itself", "remove it")
    if not config.ensemble_scheduling.step:
        yield Fault("ensemble_scheduling.step", "is empty", "name the steps")


def steps_fit_their_models(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Refused at load: absent models and tensors, batches that a member could not take."""
    for index, step in enumerate(config.ensemble_scheduling.step):
        place = f"ensemble_scheduling.step[{index}]"
        model = around.others.get(step.model_name)
        if model is None:
            yield Fault(
                f"{place}.model_name", f"{step.model_name!r} is not in the repository", "name one that is"
            )
            continue
        if 0 < model.max_batch_size < config.max_batch_size:
            what = f"is {config.max_batch_size}, but {model.name} takes {model.max_batch_size}"
            yield Fault("max_batch_size", what, "lower it")
        inputs, outputs = (
            {tensor.name: tensor for tensor in model.input},
            {tensor.name for tensor in model.output},
        )
        if not set(step.input_map) <= set(inputs) or not set(step.output_map) <= outputs:
            yield Fault(
                place, f"maps a tensor that {model.name} does not have", "name its inputs and outputs"
            )
        missing = [
            name for name, tensor in inputs.items() if not tensor.optional and name not in step.input_map
        ]
        if missing or not step.input_map or not step.output_map:
            yield Fault(place, f"maps no {' and no '.join(missing) or 'inputs or no outputs'}", "map them")


def ensemble_tensors_are_written_once_and_used(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Refused at load: tensors that two steps write, or none, or that nobody reads."""
    steps = config.ensemble_scheduling.step
    if not steps:
        return
    outside = [tensor.name for tensor in config.input]
    written = outside + [name for step in steps for name in step.output_map.values()]
    read = {name for step in steps for name in step.input_map.values()} | {
        tensor.name for tensor in config.output
    }
    place = "ensemble_scheduling.step"
    for name in sorted({name for name in written if written.count(name) > 1}):
        yield Fault(place, f"writes {name!r} twice", "give each output a name of its own")
    for name in sorted(set(written) - read):
        yield Fault(place, f"leaves {name!r} unused", "use it, or do not map it")
    for name in sorted(read - set(written)):
        yield Fault(
            place,
            f"reads {name!r}, which nothing writes",
            "name an input of the ensemble or an output before",
        )


ENSEMBLE_RULES = (
    an_ensemble_only_connects,
    steps_fit_their_models,
    ensemble_tensors_are_written_once_and_used,
)
