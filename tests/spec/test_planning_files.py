from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from corntriton.errors import Problems, UserError
from corntriton.schemas import schema_text
from corntriton.spec.cluster import Cluster, read_cluster
from corntriton.spec.profiles import read_profiles
from corntriton.spec.workload import Workload, read_workload


def written(folder: Path, text: str) -> str:
    file = folder / "file"
    file.write_text(text)
    return str(file)


def cluster(folder: Path, text: str) -> Cluster:
    problems = Problems()
    found = read_cluster(written(folder, text), problems)
    problems.raise_if_any()
    assert found is not None
    return found


def workload(folder: Path, text: str) -> Workload:
    problems = Problems()
    found = read_workload(written(folder, text), problems)
    problems.raise_if_any()
    assert found is not None
    return found


def test_nodes_are_named_after_their_class_or_as_they_are_called(tmp_path: Path) -> None:
    text = """
devices: {a100: {memory_gib: 80, cost_per_hour: 4}, cpu: {kind: cpu, memory_gib: 64, cost_per_hour: 0.1}}
nodes:
  hgx: {count: 2, devices: {a100: 8, cpu: 4}}
  old: {names: [anna], devices: {cpu: 8}}
"""
    found = cluster(tmp_path, text)
    assert [node for node, _ in found.all_nodes()] == ["hgx-0", "hgx-1", "anna"]
    assert found.device_count("cpu") == 16


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ("{hgx: {devices: {a100: 8}}}", "give either count or names"),
        ("{hgx: {count: 1, names: [a], devices: {a100: 8}}}", "give either count or names"),
        ("{hgx: {names: [a, a], devices: {a100: 8}}}", "names a node twice"),
        ("{hgx: {count: 1, devices: {a10: 8}}}", "rename it to `a100`"),
        ("{hgx: {count: 1, devices: {a100: -8}}}", "write how many there are"),
        ("{a: {count: 1, devices: {a100: 1}}, b: {names: [a-0], devices: {a100: 1}}}", "two nodes named a-0"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_cluster_is_said_with_its_line(tmp_path: Path, nodes: str, said: str) -> None:
    text = f"devices: {{a100: {{memory_gib: 80, cost_per_hour: 4}}}}\nnodes: {nodes}\n"
    with pytest.raises(UserError) as caught:
        cluster(tmp_path, text)
    assert said in str(caught.value)
    assert "file:2: $.nodes" in str(caught.value)


def test_shares_are_weights(tmp_path: Path) -> None:
    found = workload(tmp_path, "rate_hz: 4\nrequest_types: {a: {share: 1}, b: {share: 3}}\n")
    assert {name: traffic.share for name, traffic in found.request_types.items()} == {"a": 0.25, "b": 0.75}


def test_rate_and_mix_are_taken_from_a_trace(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("arrival_s,request_type\n10,a\n12,b\n11,a\n14,a\n")
    found = workload(tmp_path, "trace: trace.csv\nrequest_types: {a: {}, b: {}}\n")
    assert found.rate_hz == pytest.approx(0.75)
    assert found.request_types["a"].share == 0.75
    assert found.arrivals == ((0.0, "a"), (1.0, "a"), (2.0, "b"), (4.0, "a"))


def test_a_rate_beside_a_trace_stretches_it(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("arrival_s,request_type\n0,a\n2,a\n4,a\n")
    found = workload(tmp_path, "trace: trace.csv\nrate_hz: 2\nrequest_types: {a: {}}\n")
    assert found.arrivals == ((0.0, "a"), (0.5, "a"), (1.0, "a"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("request_types: {a: {share: 1}}\n", "$.rate_hz: is missing"),
        ("rate_hz: 1\nrequest_types: {a: {}}\n", "$.request_types.a.share: is missing"),
        ("rate_hz: 1\nrequest_types: {a: {share: 0}}\n", "have no share above 0"),
        ("rate_hz: -1\nrequest_types: {a: {share: 1}}\n", "$.rate_hz"),
        ("rate_hz: 1\nrequest_types: {a: {share: 1, target: []}}\n", "rename it to `targets`"),
        ("rate_hz: 1\nrequest_types: {a: {share: 1, chunks: {x: 0}}}\n", "a whole number, at least 1"),
        ("trace: no.csv\nrequest_types: {a: {}}\n", "$.trace: cannot be read"),
        ("trace: bad.csv\nrequest_types: {a: {}}\n", "$.trace: cannot be read"),
        ("trace: other.csv\nrequest_types: {a: {}}\n", "'b' is not in"),
        ("trace: short.csv\nrequest_types: {a: {}}\n", "spans no time"),
    ],
)
def test_what_is_wrong_with_a_workload_is_said(tmp_path: Path, text: str, said: str) -> None:
    for name, rows in {"bad": "x,a\n", "other": "1,b\n2,a\n", "short": "1,a\n"}.items():
        (tmp_path / f"{name}.csv").write_text(f"arrival_s,request_type\n{rows}")
    with pytest.raises(UserError) as caught:
        workload(tmp_path, text)
    assert said in str(caught.value)


def test_the_same_profile_twice_is_one_too_many(tmp_path: Path) -> None:
    one = (
        '{"component": "a", "device": "gpu", "samples": [{"batch": 1, "latency": 1}],'
        ' "memory": {"weights_bytes": 1}, "provenance": {"how": "assumed", "source": "x"}}'
    )
    problems = Problems()
    read_profiles(written(tmp_path, f'{{"profiles": [{one}, {one}]}}'), problems)
    with pytest.raises(UserError, match=r"the same component, device and configuration as \$.profiles\[0\]"):
        problems.raise_if_any()


def test_a_latency_may_be_a_number_or_a_distribution(tmp_path: Path) -> None:
    text = (
        '{"profiles": [{"component": "a", "device": "gpu", "memory": {"weights_bytes": 1},'
        ' "samples": [{"batch": 1, "latency": 1}, {"batch": 2, "latency": {"mean_s": 1.5, "p95_s": 2}}],'
        ' "provenance": {"how": "assumed", "source": "x"}}]}'
    )
    found = read_profiles(written(tmp_path, text), Problems())
    assert found is not None
    assert [sample.latency.mean_s for sample in found.profiles[0].samples] == [1.0, 1.5]


PAPER = Path(__file__).parents[2] / "examples" / "paper"


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [("workload", "*/workload-*.yaml"), ("cluster", "cluster-*.yaml"), ("profiles", "*/profiles.json")],
)
def test_the_schemas_accept_the_examples(kind: str, pattern: str) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(schema_text(kind)))
    files = sorted(PAPER.glob(pattern))
    assert files
    for file in files:
        validator.validate(yaml.safe_load(file.read_text()))
