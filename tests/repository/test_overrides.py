from typing import Any

import pytest

from corntriton.errors import Problems, UserError
from corntriton.repository import pbtxt
from corntriton.repository.overrides import override
from corntriton.spec.files import Document, Spot

GENERATED = """# what it is
name: "a"
# how many
max_batch_size: 8
dynamic_batching {
  # how long
  max_queue_delay_microseconds: 5
  preferred_batch_size: [ 2, 4 ]
}
parameters { key: "kept" value { string_value: "1" } }
model_transaction_policy { decoupled: true }
instance_group [ { count: 1 kind: KIND_CPU } ]
"""


def overridden(data: dict[str, Any]) -> tuple[str, Any]:
    problems = Problems()
    text = override(GENERATED, data, Spot(Document("model.yaml", {}), problems, ("config",)))
    problems.raise_if_any()
    return text, pbtxt.parse(text)


def test_nothing_said_changes_nothing() -> None:
    assert overridden({})[0] == GENERATED


def test_other_fields_keep_their_comments() -> None:
    text, config = overridden({"max_batch_size": 2})
    assert config.max_batch_size == 2
    assert text.startswith('# what it is\nname: "a"\ndynamic_batching {\n  # how long\n')
    assert "has the last word.\nmax_batch_size: 2\n" in text


def test_messages_merge_and_lists_are_replaced() -> None:
    _, config = overridden({"dynamic_batching": {"preferred_batch_size": [8], "preserve_ordering": True}})
    assert list(config.dynamic_batching.preferred_batch_size) == [8]
    assert config.dynamic_batching.max_queue_delay_microseconds == 5
    assert config.dynamic_batching.preserve_ordering
    _, config = overridden({"instance_group": [{"count": 3, "kind": "KIND_GPU", "gpus": [0, 1]}]})
    assert [(group.count, [*group.gpus]) for group in config.instance_group] == [(3, [0, 1])]


def test_maps_merge_by_key() -> None:
    _, config = overridden({"parameters": {"new": {"string_value": "2"}}, "metric_tags": {"team": "speech"}})
    assert {key: value.string_value for key, value in config.parameters.items()} == {"kept": "1", "new": "2"}
    assert dict(config.metric_tags) == {"team": "speech"}
    levels = {"priority_levels": 2, "priority_queue_policy": {"1": {"max_queue_size": 7}}}
    _, config = overridden({"dynamic_batching": levels})
    assert config.dynamic_batching.priority_queue_policy[1].max_queue_size == 7


def test_defaults_and_null_take_fields_back() -> None:
    _, config = overridden({"model_transaction_policy": {"decoupled": False}, "dynamic_batching": None})
    assert not config.model_transaction_policy.decoupled
    assert not config.HasField("dynamic_batching")


def test_a_scheduler_displaces_the_generated_one() -> None:
    _, config = overridden({"sequence_batching": {}})
    assert config.HasField("sequence_batching")
    assert not config.HasField("dynamic_batching")


@pytest.mark.parametrize(
    ("data", "path", "what", "fix"),
    [
        ({"dynamic_batchin": {}}, "$.config.dynamic_batchin", "not a field", "`dynamic_batching`"),
        (
            {"dynamic_batching": {"preferred_batch_sizes": [1]}},
            "$.config.dynamic_batching.preferred_batch_sizes",
            "not a field of Triton's ModelDynamicBatching",
            "`preferred_batch_size`",
        ),
        (
            {"instance_group": [{"kind": "KIND_CPUS"}]},
            "$.config.instance_group[0].kind",
            "KIND_CPUS",
            "KIND_CPU",
        ),
        ({"max_batch_size": "many"}, "$.config.max_batch_size", "does not fit", "the type"),
        ({"max_batch_size": [1]}, "$.config.max_batch_size", "does not fit", "the type"),
        ({"max_batch_size": 2**40}, "$.config.max_batch_size", "does not fit", "the type"),
        ({"dynamic_batching": 3}, "$.config.dynamic_batching", "is 3", "a mapping of"),
        ({"input": {"name": "x"}}, "$.config.input", "is not a list", "list of mappings"),
        ({"parameters": []}, "$.config.parameters", "does not fit", "the type"),
        ({"parameters": {"a": 1}}, "$.config.parameters.a", "is 1", "string_value"),
        (
            {"dynamic_batching": {"priority_queue_policy": {"high": {}}}},
            "$.config.dynamic_batching.priority_queue_policy.high",
            "not a number",
            "in quotes",
        ),
        (
            {"dynamic_batching": {}, "sequence_batching": {}},
            "$.config.sequence_batching",
            "together with dynamic_batching",
            "keep one",
        ),
    ],
)
def test_what_does_not_fit_is_reported_at_its_place(
    data: dict[str, Any], path: str, what: str, fix: str
) -> None:
    with pytest.raises(UserError) as caught:
        overridden(data)
    [problem] = caught.value.problems
    assert problem.path == path
    assert what in problem.what
    assert fix in problem.fix
