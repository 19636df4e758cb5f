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


def ensemble_tensors_agree(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Refused at load: a tensor of two dtypes, or of sizes that differ; a batch dimension may be one."""
    first: dict[str, tuple[str, _Shape]] = {}
    for place, name, shape in _shapes(config, around):
        where, known = first.setdefault(name, (place, shape))
        if not _agree(known, shape):
            what = f"is read or written as {name!r}, which has another dtype or other dims at {where}"
            yield Fault(place, what, "connect tensors of equal dtype and dims")


_Shape = tuple[int, list[int], bool]  # data type, dims, whether a batch dimension comes before them


def _shapes(config: ModelConfig, around: Surroundings) -> Iterator[tuple[str, str, _Shape]]:
    """Place, name and shape of each of the ensemble's tensors, everywhere that it is declared."""
    if not config.ensemble_scheduling.step:
        return  # inputs and outputs of other models are no tensors of the same names
    for side in ("input", "output"):
        for index, tensor in enumerate(getattr(config, side)):
            shape = (tensor.data_type, [*tensor.dims], config.max_batch_size > 0)
            yield f"{side}[{index}]", tensor.name, shape
    for index, step in enumerate(config.ensemble_scheduling.step):
        model = around.others.get(step.model_name)
        if model is None:
            continue
        for mapped, tensors in ((step.input_map, model.input), (step.output_map, model.output)):
            for tensor in tensors:
                if tensor.name in mapped:
                    shape = (tensor.data_type, [*tensor.dims], model.max_batch_size > 0)
                    yield f"ensemble_scheduling.step[{index}]", mapped[tensor.name], shape


def _agree(one: _Shape, other: _Shape) -> bool:
    same_type, whole = one[0] == other[0], [[-1] * shape[2] + shape[1] for shape in (one, other)]
    return same_type and (_match(one[1], other[1]) or _match(*whole))


def _match(dims: list[int], others: list[int]) -> bool:
    pairs = zip(dims, others, strict=False)
    return len(dims) == len(others) and all(a == b or -1 in (a, b) for a, b in pairs)


ENSEMBLE_RULES = (
    an_ensemble_only_connects,
    steps_fit_their_models,
    ensemble_tensors_are_written_once_and_used,
    ensemble_tensors_agree,
)
