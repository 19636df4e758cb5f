"""What tritonserver demands of a ModelConfig beyond its syntax, and what it ignores in silence.

Each rule is a function: a config and its surroundings in, faults out. What the server refuses was read in
core's `ValidateModelConfig` (https://github.com/triton-inference-server/core/blob/main/src/model_config_utils.cc)
and tried on 2.51.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from corntriton.repository.ensemble_rules import ENSEMBLE_RULES
from corntriton.repository.faults import Fault, Surroundings
from corntriton.repository.pbtxt import ModelConfig


def check(config: ModelConfig, around: Surroundings) -> list[Fault]:
    """All faults of a config."""
    return [fault for rule in RULES for fault in rule(config, around)]


def name_is_the_directory(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Refused at load."""
    if config.name != around.directory:
        yield Fault(
            "name", f"is {config.name!r}, but the folder is {around.directory}", "leave the name as it is"
        )


def backend_is_there(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Refused at load: a backend that the embedded server lacks."""
    if around.embedded and config.backend not in ("", "python"):
        what = f"is {config.backend}, but the embedded server has the Python backend only"
        yield Fault("backend", what, "leave it as it is, or build with --backends ngc")


def fields_are_known_to_the_embedded_server(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Refused when the repository is read: fields that came after 2.51."""
    if not around.embedded:
        return
    fix = "remove it, or build with --backends ngc for a newer server"
    if config.HasField("model_metrics"):
        yield Fault("model_metrics", "is not known to the embedded server, which is 2.51", fix)
    if config.ensemble_scheduling.DESCRIPTOR.fields_by_name.get("max_inflight_requests") is None:
        return  # a tritonclient that does not know it either
    if config.ensemble_scheduling.max_inflight_requests:
        yield Fault("ensemble_scheduling.max_inflight_requests", "is not known to the embedded server", fix)


def tensors_are_complete(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Refused at load: no name, dtype or dims, a size below 1 other than -1, a name used twice."""
    for side in ("input", "output"):
        seen: set[str] = set()
        for index, tensor in enumerate(getattr(config, side)):
            place = f"{side}[{index}]"
            if not tensor.name or tensor.name in seen:
                yield Fault(
                    f"{place}.name", f"{tensor.name!r} is no new name", "give each tensor a name of its own"
                )
            if not tensor.data_type:
                yield Fault(f"{place}.data_type", "is missing", "write one, such as TYPE_FP32")
            if not tensor.dims:
                yield Fault(f"{place}.dims", "is empty, but Triton has no scalars", "write [1]")
            if any(size == 0 or size < -1 for size in tensor.dims):
                yield Fault(
                    f"{place}.dims", f"is {[*tensor.dims]}", "write sizes of 1 or more, or -1 where it varies"
                )
            seen.add(tensor.name)


def batch_sizes_are_possible(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Refused at load: preferred sizes that are no batch sizes."""
    if config.max_batch_size < 0:
        yield Fault("max_batch_size", f"is {config.max_batch_size}", "write 0 or more")
    batchers = {
        "dynamic_batching": config.dynamic_batching,
        "sequence_batching.oldest": config.sequence_batching.oldest,
    }
    for name, batcher in batchers.items():
        for size in batcher.preferred_batch_size:
            if not 1 <= size <= config.max_batch_size:
                what = f"has {size}, but batches have 1 to {config.max_batch_size} requests"
                yield Fault(f"{name}.preferred_batch_size", what, "prefer sizes up to max_batch_size")


def a_batcher_has_batches(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Ignored in silence: the dynamic batcher of a model without a batch dimension."""
    if config.HasField("dynamic_batching") and config.max_batch_size == 0:
        what = "has no effect: max_batch_size is 0, so no requests are joined"
        yield Fault("dynamic_batching", what, "remove it, or set max_batch_size to 1 or more")


def ragged_inputs_are_batched(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Ignored in silence: requests of different shape cannot be joined where none are joined."""
    for index, tensor in enumerate(config.input):
        if tensor.allow_ragged_batch and config.max_batch_size == 0:
            what = "has no effect: max_batch_size is 0, so no requests are joined"
            yield Fault(f"input[{index}].allow_ragged_batch", what, "remove it, or set max_batch_size")


def priorities_are_possible(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Refused at load: levels without a valid default, policies of levels that do not exist."""
    batching = config.dynamic_batching
    levels = batching.priority_levels
    if levels and not 1 <= batching.default_priority_level <= levels:
        what = f"is {batching.default_priority_level}, but there are levels 1 to {levels}"
        yield Fault("dynamic_batching.default_priority_level", what, f"write a number from 1 to {levels}")
    for level in batching.priority_queue_policy:
        if levels and not 1 <= level <= levels:
            what = f"has level {level}, but there are levels 1 to {levels}"
            yield Fault("dynamic_batching.priority_queue_policy", what, "remove it, or raise priority_levels")


def order_is_kept_without_priorities(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Refused at load: preserve_ordering beside priorities, or beside requests that are put off."""
    batching = config.dynamic_batching
    if not batching.preserve_ordering:
        return
    if batching.priority_levels > 1:
        what = "cannot be kept: priority_levels lets some requests overtake others"
        yield Fault("dynamic_batching.preserve_ordering", what, "remove one of the two")
    policies = [batching.default_queue_policy, *batching.priority_queue_policy.values()]
    if any(
        policy.default_timeout_microseconds and policy.timeout_action == policy.DELAY for policy in policies
    ):
        what = "cannot be kept: timeout_action DELAY lets other requests overtake late ones"
        yield Fault("dynamic_batching.preserve_ordering", what, "remove it, or write timeout_action: REJECT")


def a_cached_model_answers_once(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Refused at load: a response cache for streams or sequences."""
    if not config.response_cache.enable:
        return
    if config.model_transaction_policy.decoupled:
        yield Fault("response_cache", "cannot cache a model that streams", "remove it")
    if config.HasField("sequence_batching"):
        yield Fault("response_cache", "cannot cache a model that keeps state", "remove it")


def instance_groups_are_possible(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Refused at load: GPUs listed where the kind takes none."""
    for index, group in enumerate(config.instance_group):
        if group.gpus and group.kind in (group.KIND_CPU, group.KIND_MODEL):
            kind = group.Kind.Name(group.kind)
            yield Fault(
                f"instance_group[{index}].gpus", f"is given, but {kind} takes none", "write kind: KIND_GPU"
            )
        if group.count < 0:
            yield Fault(f"instance_group[{index}].count", f"is {group.count}", "write 1 or more")


def host_policies_exist(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Ignored in silence: a policy that the server's command line does not define."""
    for index, group in enumerate(config.instance_group):
        if group.host_policy and not re.fullmatch(r"cpu|model|gpu_\d+", group.host_policy):
            what = f"{group.host_policy!r} has no effect: only cpu, model and gpu_<number> exist here"
            yield Fault(f"instance_group[{index}].host_policy", what, "remove it, or name one of those")


def rate_limits_are_enforced(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Ignored in silence: the rate limiter is off; switched on, it starves models that share a resource."""
    for index, group in enumerate(config.instance_group):
        if group.HasField("rate_limiter"):
            what = "has no effect: corntriton starts the server without --rate-limit"
            fix = "remove it; the component's max_in_flight bounds what is sent to it"
            yield Fault(f"instance_group[{index}].rate_limiter", what, fix)


def a_version_is_served(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Refused at load: a policy that leaves out version 1, the only one there is."""
    if config.version_policy.HasField("specific") and 1 not in config.version_policy.specific.versions:
        yield Fault(
            "version_policy.specific", "leaves out 1, the only version there is", "add 1, or remove it"
        )
    if config.version_policy.HasField("latest") and config.version_policy.latest.num_versions == 0:
        yield Fault("version_policy.latest.num_versions", "is 0, so nothing is served", "write 1")


def warmups_fit_the_inputs(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Refused at load: warm-up requests that do not fit; inputs too many are ignored in silence."""
    known = {tensor.name: tensor for tensor in config.input}
    for index, warmup in enumerate(config.model_warmup):
        place = f"model_warmup[{index}]"
        if warmup.batch_size > max(1, config.max_batch_size):
            what = f"is {warmup.batch_size}, but max_batch_size is {config.max_batch_size}"
            yield Fault(f"{place}.batch_size", what, "write a smaller one")
        for name, given in warmup.inputs.items():
            if name not in known:
                yield Fault(f"{place}.inputs.{name}", "is not an input", f"use one of {', '.join(known)}")
            elif not _same_kind(given, known[name]):
                yield Fault(f"{place}.inputs.{name}", "has another dtype or dims", "write those of the input")
        for name, tensor in known.items():
            if not tensor.optional and name not in warmup.inputs:
                yield Fault(f"{place}.inputs", f"lacks {name}", "give every input that is not optional")


def sequence_controls_are_possible(config: ModelConfig, around: Surroundings) -> Iterator[Fault]:
    """Refused at load: controls without a name, of one kind twice, or of one name twice."""
    seen: set[object] = set()
    for index, control_input in enumerate(config.sequence_batching.control_input):
        marks: list[object] = [control_input.name, *(control.kind for control in control_input.control)]
        if not control_input.name or any(mark in seen for mark in marks):
            place = f"sequence_batching.control_input[{index}]"
            yield Fault(
                place, "repeats a name or kind, or has no name", "give each kind of control one named input"
            )
        seen.update(marks)


def _same_kind(given: Any, tensor: Any) -> bool:
    if given.data_type != tensor.data_type or len(given.dims) != len(tensor.dims):
        return False
    return all(size in (-1, here) for here, size in zip(given.dims, tensor.dims, strict=True))


RULES = (
    name_is_the_directory,
    backend_is_there,
    fields_are_known_to_the_embedded_server,
    tensors_are_complete,
    batch_sizes_are_possible,
    a_batcher_has_batches,
    ragged_inputs_are_batched,
    priorities_are_possible,
    order_is_kept_without_priorities,
    a_cached_model_answers_once,
    instance_groups_are_possible,
    host_policies_exist,
    rate_limits_are_enforced,
    a_version_is_served,
    warmups_fit_the_inputs,
    sequence_controls_are_possible,
    *ENSEMBLE_RULES,
)
