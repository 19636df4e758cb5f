"""The figures of a role: what shared memory has to hold, what binds, how long a call may wait."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from corntriton.deploy.bottleneck import bottleneck
from corntriton.deploy.memory import BASE_BYTES, INLINE_BYTES, STUB_BYTES, shared_memory
from corntriton.deploy.reading import read_site
from corntriton.planner.plan import Executor, Member, Place, Plan, Predicted, Route, Stop, Usage
from corntriton.repository.manifest import Manifest, ModelEntry
from corntriton.spec.workload import LatencyTarget
from tests.planner import plans

MIB = 2**20


def entry(name: str, device: str | None = "KIND_CPU", instances: int = 1, **more: Any) -> ModelEntry:
    files = dict.fromkeys(("config.pbtxt", "1/model.py", "1/component.json"), "")
    return ModelEntry(name, more.pop("kind", "component"), (name,), device, instances, files, **more)


def manifest(*models: ModelEntry) -> Manifest:
    return Manifest("0", "ngc", models, (), (), (), (), (), ())


def test_every_process_may_fill_its_arena(tmp_path: Path) -> None:
    models = [
        entry("small", instances=3),
        entry("large", "KIND_GPU", instances=2, gpus=(0, 1)),
        entry("everywhere", "KIND_GPU", instances=1),
        ModelEntry("probe", "probe", ("m",), None, 0, {"config.pbtxt": ""}),
        ModelEntry("native", "component", ("n",), "KIND_GPU", 5, {"1/model.onnx": ""}, gpus=(0,)),
    ]
    arenas = {"small": 0, "large": 512 * MIB, "everywhere": 100 * MIB}
    for name, nbytes in arenas.items():
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "1" / "component.json").write_text(json.dumps({"arena_bytes": nbytes}))
    found = shared_memory(manifest(*models), tmp_path, gpus=4)
    assert {(term.what, term.count) for term in found.terms if "arenas" in term.what} == {
        ("arenas of large", 2),
        ("arenas of everywhere", 4),
    }
    processes = 3 + 2 + 4
    arena_bytes = (2 * 512 + 4 * 100) * MIB
    assert found.nbytes == arena_bytes + BASE_BYTES + processes * (STUB_BYTES + INLINE_BYTES)
    assert found.mebibytes * MIB >= found.nbytes


def executor(name: str, used: float) -> Executor:
    places = (Place(plans.HERE, (0,)),)
    return Executor(name, "gpu", 1, (Member(f"m/{name}", 1),), places, usage=(Usage("time", used, 0.8),))


def plan_of(targets: list[LatencyTarget], predicted: Predicted | None, llm: float = 0.8) -> Plan:
    invocations = [plans.invocation("encoder"), plans.invocation("llm", chunks=2)]
    demand = plans.demand(1, invocations, targets=targets)
    route = Route(demand.name, 1.0, {each.id: Stop(each.id, plans.HERE) for each in invocations})
    executors = [executor("encoder", 0.4), executor("llm", llm)]
    made = plans.plan([demand], executors, [route], [plans.profile("llm", {1: 1.0})])
    return replace(made, predicted={demand.name: predicted} if predicted else {})


PATH = ModelEntry("m__t__path", "path", ("m",), None, 0, {"config.pbtxt": ""})
MODELS = manifest(entry("m__encoder", executor="encoder"), entry("m__llm", executor="llm"), PATH)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """With the one config that is looked at: of an ensemble that calls the encoder."""
    (tmp_path / PATH.name).mkdir()
    step = 'platform: "ensemble" ensemble_scheduling { step { model_name: "m__encoder" } }'
    (tmp_path / PATH.name / "config.pbtxt").write_text(step)
    return tmp_path


@pytest.mark.parametrize(
    ("targets", "wait_s"),
    [
        ([], 0.5),
        ([LatencyTarget(seconds=9)], 2.0),
        ([LatencyTarget(seconds=9), LatencyTarget(seconds=2, of="first_chunk")], 0.375),
        ([LatencyTarget(seconds=0.2, of="per_token")], 0.5),
        ([LatencyTarget(seconds=0.5)], 0.02),
    ],
)
def test_a_call_may_wait_half_of_what_the_tightest_target_leaves(
    targets: list[LatencyTarget], wait_s: float, repository: Path
) -> None:
    made = plan_of(targets, Predicted(1.0, unloaded_s=1.0, unloaded_first_chunk_s=0.5))
    found = bottleneck(MODELS, repository, made, plans.HERE)
    assert found.models == ("m__llm",)
    assert found.queue_s == pytest.approx(wait_s)


def test_executors_as_scarce_as_each_other_bind_together(repository: Path) -> None:
    found = bottleneck(MODELS, repository, plan_of([], None, llm=0.405), plans.HERE)
    assert found.models == ("m__encoder", "m__llm", PATH.name)


def test_without_a_plan_any_component_may_bind(repository: Path) -> None:
    found = bottleneck(MODELS, repository, None, None)
    assert (found.models, found.queue_s) == (("m__encoder", "m__llm", PATH.name), 0.5)


def test_nodes_that_serve_the_same_are_one_role(three_nodes: Path) -> None:
    site = read_site(three_nodes, "26.11")
    assert {role.name: role.nodes for role in site.roles} == {
        "small": ("Single.node",),
        "large": ("large-0", "large-1"),
    }
    assert {role.name: role.server for role in site.roles} == {"small": "Single.node", "large": "large-0"}


def test_any_server_of_a_plan_takes_any_request(three_nodes: Path) -> None:
    every = {
        f"{model}/{each}_to_text"
        for model in ("internvl3", "qwen2_5_vl")
        for each in ("image", "text", "video")
    }
    for role in read_site(three_nodes, "26.11").roles:
        assert {*role.request_types} == every


def test_what_is_pulled_from_other_servers_has_its_arena_too(crossing: Path) -> None:
    for role in read_site(crossing, "26.11").roles:
        terms = {term.what: (term.count, term.each_bytes) for term in role.shared_memory.terms}
        assert terms["arenas of corntriton_transfer"] == (1, 2048 * MIB)


def test_a_role_of_the_build_is_one_of_the_deployment_under_the_name_that_others_call(crossing: Path) -> None:
    site = read_site(crossing, "26.11")
    assert {role.server: role.nodes for role in site.roles} == {"n-0": ("n-0",), "n-1": ("n-1", "n-2")}
    assert site.peers == "n-0=HOST:8001,n-1=HOST:8001;HOST:8001"


def test_without_a_plan_there_is_one_role_with_what_the_models_know(unplanned: Path) -> None:
    [role] = read_site(unplanned, "26.11").roles
    assert (role.name, role.nodes, role.gpus, role.replicas) == ("server", (), 0, 1)
    assert "tiny/text_to_speech" in role.request_types
