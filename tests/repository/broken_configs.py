"""Configs that break a rule each, and good ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from corntriton.repository import ensemble_rules, rules

TENSORS = """
input [ { name: "x" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""
BASE = f"""
name: "model"
backend: "python"
max_batch_size: 4
{TENSORS}
"""
ENSEMBLE = """
name: "model"
platform: "ensemble"
input [ { name: "a" data_type: TYPE_FP32 dims: [ -1, -1 ] } ]
output [ { name: "b" data_type: TYPE_FP32 dims: [ -1, -1 ] } ]
"""
STEP = """model_name: "good" model_version: -1
input_map { key: "x" value: "a" } output_map { key: "y" value: "b" }"""
GOOD_STEP = ENSEMBLE + f"ensemble_scheduling {{ step {{ {STEP} }} }}"


@dataclass(frozen=True)
class Case:
    """A broken config; `refused` as measured on the embedded server, which accepts the others in silence."""

    rule: Callable[..., object]
    field: str
    text: str
    refused: bool = True


# What a broken config of the cases becomes when it is mended.
GOOD = {
    "plain": BASE,
    "ensemble": GOOD_STEP,
    "priorities": BASE + "dynamic_batching { priority_levels: 2 default_priority_level: 1 }",
    "oldest": BASE
    + "sequence_batching { oldest { max_candidate_sequences: 4 preferred_batch_size: [ 4 ] } }",
    "host policy": BASE + 'instance_group [ { kind: KIND_CPU host_policy: "cpu" } ]',
    "warm-up": BASE
    + """model_warmup [ { name: "w" batch_size: 4
    inputs { key: "x" value { data_type: TYPE_FP32 dims: [ 1 ] zero_data: true } } } ]""",
    "controls": BASE
    + """sequence_batching { control_input [
    { name: "s" control [ { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } ] },
    { name: "e" control [ { kind: CONTROL_SEQUENCE_END int32_false_true: [ 0, 1 ] } ] } ] }""",
    "cached": BASE + "response_cache { enable: true }",
    "specific version": BASE + "version_policy { specific { versions: [ 1 ] } }",
}
CASES = [
    Case(rules.name_is_the_directory, "name", BASE.replace('"model"', '"other"')),
    Case(rules.backend_is_there, "backend", BASE.replace('"python"', '"onnxruntime"')),
    Case(
        rules.fields_are_known_to_the_embedded_server,
        "model_metrics",
        BASE + 'model_metrics { metric_control [ { metric_identifier { family: "f" } } ] }',
    ),
    Case(
        rules.fields_are_known_to_the_embedded_server,
        "ensemble_scheduling.max_inflight_requests",
        GOOD_STEP.replace("{ step", "{ max_inflight_requests: 2 step"),
    ),
    Case(rules.tensors_are_complete, "input[0].name", BASE.replace('name: "x"', "")),
    Case(
        rules.tensors_are_complete, "input[0].data_type", BASE.replace("TYPE_FP32 dims", "TYPE_INVALID dims")
    ),
    Case(rules.tensors_are_complete, "input[0].dims", BASE.replace("dims: [ -1 ]", "")),
    Case(rules.tensors_are_complete, "input[0].dims", BASE.replace("dims: [ -1 ]", "dims: [ 0 ]")),
    Case(rules.batch_sizes_are_possible, "max_batch_size", BASE.replace("size: 4", "size: -1")),
    Case(
        rules.batch_sizes_are_possible,
        "dynamic_batching.preferred_batch_size",
        BASE + "dynamic_batching { preferred_batch_size: [ 8 ] }",
    ),
    Case(
        rules.batch_sizes_are_possible,
        "sequence_batching.oldest.preferred_batch_size",
        BASE + "sequence_batching { oldest { max_candidate_sequences: 4 preferred_batch_size: [ 8 ] } }",
    ),
    Case(
        rules.a_batcher_has_batches,
        "dynamic_batching",
        BASE.replace("size: 4", "size: 0") + "dynamic_batching { }",
        refused=False,
    ),
    Case(
        rules.ragged_inputs_are_batched,
        "input[0].allow_ragged_batch",
        BASE.replace("size: 4", "size: 0").replace('name: "x"', 'name: "x" allow_ragged_batch: true'),
        refused=False,
    ),
    Case(
        rules.priorities_are_possible,
        "dynamic_batching.default_priority_level",
        BASE + "dynamic_batching { priority_levels: 2 }",
    ),
    Case(
        rules.priorities_are_possible,
        "dynamic_batching.priority_queue_policy",
        BASE
        + """dynamic_batching { priority_levels: 2 default_priority_level: 1
        priority_queue_policy { key: 3 value { } } }""",
    ),
    Case(
        rules.order_is_kept_without_priorities,
        "dynamic_batching.preserve_ordering",
        BASE + "dynamic_batching { preserve_ordering: true priority_levels: 2 default_priority_level: 1 }",
    ),
    Case(
        rules.order_is_kept_without_priorities,
        "dynamic_batching.preserve_ordering",
        BASE
        + """dynamic_batching { preserve_ordering: true
        default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 9 } }""",
    ),
    Case(
        rules.a_cached_model_answers_once,
        "response_cache",
        BASE + "response_cache { enable: true } model_transaction_policy { decoupled: true }",
    ),
    Case(
        rules.a_cached_model_answers_once,
        "response_cache",
        BASE + "response_cache { enable: true } sequence_batching { }",
    ),
    Case(
        rules.instance_groups_are_possible,
        "instance_group[0].gpus",
        BASE + "instance_group [ { kind: KIND_CPU gpus: [ 0 ] } ]",
    ),
    Case(
        rules.instance_groups_are_possible,
        "instance_group[0].gpus",
        BASE + "instance_group [ { kind: KIND_MODEL gpus: [ 0 ] } ]",
    ),
    Case(
        rules.host_policies_exist,
        "instance_group[0].host_policy",
        BASE + 'instance_group [ { kind: KIND_CPU host_policy: "numa_7" } ]',
        refused=False,
    ),
    Case(
        rules.rate_limits_are_enforced,
        "instance_group[0].rate_limiter",
        BASE + 'instance_group [ { kind: KIND_CPU rate_limiter { resources [ { name: "r" count: 99 } ] } } ]',
        refused=False,
    ),
    Case(
        rules.a_version_is_served,
        "version_policy.specific",
        BASE + "version_policy { specific { versions: [ 2 ] } }",
    ),
    Case(
        rules.a_version_is_served,
        "version_policy.latest.num_versions",
        BASE + "version_policy { latest { num_versions: 0 } }",
    ),
    Case(
        rules.warmups_fit_the_inputs,
        "model_warmup[0].inputs.z",
        BASE
        + """model_warmup [ { name: "w" batch_size: 1
        inputs { key: "z" value { data_type: TYPE_FP32 dims: [ 1 ] zero_data: true } }
        inputs { key: "x" value { data_type: TYPE_FP32 dims: [ 1 ] zero_data: true } } } ]""",
        refused=False,
    ),
    Case(
        rules.warmups_fit_the_inputs,
        "model_warmup[0].inputs.x",
        BASE
        + """model_warmup [ { name: "w" batch_size: 1
        inputs { key: "x" value { data_type: TYPE_INT32 dims: [ 1 ] zero_data: true } } } ]""",
    ),
    Case(
        rules.sequence_controls_are_possible,
        "sequence_batching.control_input[1]",
        BASE
        + """sequence_batching { control_input [
        { name: "s" control [ { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } ] },
        { name: "s" control [ { kind: CONTROL_SEQUENCE_END int32_false_true: [ 0, 1 ] } ] } ] }""",
    ),
    Case(
        ensemble_rules.an_ensemble_only_connects,
        "instance_group",
        GOOD_STEP + "instance_group [ { kind: KIND_CPU } ]",
    ),
    Case(ensemble_rules.an_ensemble_only_connects, "optimization", GOOD_STEP + "optimization { }"),
    Case(ensemble_rules.an_ensemble_only_connects, "ensemble_scheduling.step", ENSEMBLE),
    Case(
        ensemble_rules.steps_fit_their_models,
        "ensemble_scheduling.step[0].model_name",
        GOOD_STEP.replace('"good"', '"absent"'),
    ),
    Case(ensemble_rules.steps_fit_their_models, "max_batch_size", GOOD_STEP + "max_batch_size: 9"),
    Case(
        ensemble_rules.steps_fit_their_models, "ensemble_scheduling.step[0]", GOOD_STEP.replace('"x"', '"z"')
    ),
    Case(
        ensemble_rules.ensemble_tensors_are_written_once_and_used,
        "ensemble_scheduling.step",
        ENSEMBLE + f"ensemble_scheduling {{ step {{ {STEP} }} step {{ {STEP} }} }}",
    ),
    Case(
        ensemble_rules.ensemble_tensors_are_written_once_and_used,
        "ensemble_scheduling.step",
        GOOD_STEP.replace('value: "b"', 'value: "c"'),
    ),
    Case(
        ensemble_rules.ensemble_tensors_agree,
        "ensemble_scheduling.step[0]",
        GOOD_STEP.replace('"a" data_type: TYPE_FP32', '"a" data_type: TYPE_INT32'),
    ),
    Case(
        ensemble_rules.ensemble_tensors_agree,
        "ensemble_scheduling.step[0]",
        GOOD_STEP.replace(
            '"a" data_type: TYPE_FP32 dims: [ -1, -1 ]', '"a" data_type: TYPE_FP32 dims: [ 1, 1, 1 ]'
        ),
    ),
]
