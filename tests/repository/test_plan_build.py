"""What `build --plan` writes: Triton models for executors, instances for counts and places, routes, notes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from corntriton.cli import app
from corntriton.errors import UserError
from corntriton.planner.plan import Executor, Place, Plan, Stop
from corntriton.repository import pbtxt
from corntriton.repository.build import build
from corntriton.repository.manifest import Manifest
from corntriton.runtime.settings import ExecutorSettings, OrchestratorSettings
from corntriton.serving.deployment import read_deployment
from corntriton.spec.load import LoadedModel, load_models
from corntriton.spec.profiles import OutputSize
from tests.repository.hand_plans import executor, hand_plan

ALL = ["studio/double", "studio/scale", "studio/shift", "studio/speak", "studio/sing"]
NUMBERS = ALL[:3]


@pytest.fixture
def studio(write_studio: Callable[..., Path], tmp_path: Path) -> list[LoadedModel]:
    return load_models([write_studio(tmp_path / "studio")])


@pytest.fixture
def build_plan(studio: list[LoadedModel], tmp_path: Path) -> Callable[..., Manifest]:
    """Builds a plan of these executors, or a plan; each component goes to the first that has it."""

    def run(*executors: Executor, plan: Plan | None = None, **options: Any) -> Manifest:
        return build(studio, tmp_path / "out", plan=plan or plan_of(studio, *executors), **options)

    return run


def plan_of(studio: list[LoadedModel], *executors: Executor) -> Plan:
    return hand_plan(studio, executors, [(1, first_holders(*executors))])


def first_holders(*executors: Executor) -> dict[str, str]:
    return {name: each.name for each in reversed(executors) for name in each.components}


def monolith(**options: Any) -> Executor:
    return executor("all@cpu", ALL, **options)


def apart(*names: str, **options: Any) -> list[Executor]:
    return [executor(name, [name], **options) for name in names or ALL]


def config(folder: Path, model: str) -> Any:
    return pbtxt.parse((folder / "model_repository" / model / "config.pbtxt").read_text())


def problems(error: Any) -> list[str]:
    return [f"{each.path}: {each.what}" for each in error.value.problems]


def orchestrator(folder: Path, model: str = "studio") -> OrchestratorSettings:
    return OrchestratorSettings.load(folder / "model_repository" / model / "1" / "orchestrator.json")


def test_one_executor_of_all_components_is_one_model(
    build_plan: Callable[..., Manifest], tmp_path: Path
) -> None:
    made = build_plan(executor("all@cpu", dict(zip(ALL, (8, 4, 4, 2, 1), strict=True)), 1))
    name = "studio__double__scale__shift__speak__sing"
    kinds = {model.name: model.kind for model in made.models}
    assert kinds == {
        "studio": "orchestrator",
        name: "executor",
        "studio_ready": "probe",
        "studio_ready_gate": "gate",
        "studio_stream": "orchestrator",
    }
    version = tmp_path / "out" / "model_repository" / name / "1"
    settings = ExecutorSettings.load(version / "executor.json")
    batches = {member: each.max_batch_size for member, each in settings.members.items()}
    assert batches == {
        "studio__double": 8,
        "studio__scale": 4,
        "studio__shift": 4,
        "studio__speak": 2,
        "studio__sing": 1,
    }
    assert (version / "code" / "parts.py").exists()
    assert (version / "studio__double" / "files" / "wait").read_text() == "0.2"
    assert (version / "studio__scale" / "model.onnx").exists()
    assert {entry.path for entry in made.weights} == {
        "1/studio__double/files/wait",
        "1/studio__scale/model.onnx",
        "1/studio__shift/model.pt",
    }


def test_single_components_are_what_they_are_without_a_plan_but_for_counts_and_batches(
    build_plan: Callable[..., Manifest], tmp_path: Path
) -> None:
    build_plan(executor("double@cpu", {"studio/double": 6}, 3), *apart(*ALL[1:]))
    double = config(tmp_path / "out", "studio__double")
    assert (double.max_batch_size, double.instance_group[0].count) == (6, 3)
    target = orchestrator(tmp_path / "out").targets["studio__double"]
    assert (target.max_in_flight, target.component, target.members) == (2 * 3 * 6, "double", {})


def test_on_ngc_instances_are_on_the_gpus_of_their_places(
    build_plan: Callable[..., Manifest], tmp_path: Path
) -> None:
    places = [Place("n-0", (3,)), Place("n-0", (5,))]
    made = build_plan(
        executor("double@gpu", ["studio/double"], places, device="gpu"), *apart(*ALL[1:]), backends="ngc"
    )
    [group] = config(tmp_path / "out", "studio__double").instance_group
    # The node has two older GPUs, which come first.
    assert (group.kind, group.count, list(group.gpus)) == (group.KIND_GPU, 1, [5, 7])
    [entry] = [model for model in made.models if model.name == "studio__double"]
    assert (entry.instances, entry.gpus, entry.executor) == (2, (5, 7), "double@gpu")
    [cpu] = config(tmp_path / "out", "studio__speak").instance_group
    assert cpu.kind == cpu.KIND_CPU


def test_on_the_embedded_server_a_gpu_becomes_a_cpu_and_the_manifest_says_so(
    build_plan: Callable[..., Manifest], tmp_path: Path
) -> None:
    made = build_plan(executor("all@gpu", ALL, device="gpu"))
    assert any("gpu asked for, mapped to KIND_CPU" in note for note in made.notes)


def test_native_backends_of_an_executor_are_models_of_their_own_on_the_same_devices(
    build_plan: Callable[..., Manifest], tmp_path: Path
) -> None:
    places = [Place("n-0", (0,))]
    build_plan(
        executor(
            "all@gpu", ["studio/double", "studio/speak", "studio/scale", "studio/shift"], places, device="gpu"
        ),
        *apart("studio/sing"),
        backends="ngc",
    )
    for name in ("studio__double__speak", "studio__scale", "studio__shift"):
        assert list(config(tmp_path / "out", name).instance_group[0].gpus) == [2]


def test_instances_that_span_devices_are_models_of_their_own(
    build_plan: Callable[..., Manifest], tmp_path: Path
) -> None:
    places = [Place("n-0", (0, 1)), Place("n-0", (2, 3))]
    wide = executor("speak@gpux2", ["studio/speak"], places, "gpu", 2)
    build_plan(wide, *apart(*NUMBERS, "studio/sing"), backends="ngc")
    for name, visible in (("studio__speak", [2, 3]), ("studio__speak__2", [4, 5])):
        version = tmp_path / "out" / "model_repository" / name / "1"
        assert list(ExecutorSettings.load(version / "executor.json").devices) == visible
    routes = orchestrator(tmp_path / "out").routes["song"]
    assert [(route.share, route.stops["speak"]) for route in routes] == [
        (0.5, "studio__speak"),
        (0.5, "studio__speak__2"),
    ]


def test_state_that_lives_with_others_keeps_a_request_at_one_instance(
    build_plan: Callable[..., Manifest], tmp_path: Path
) -> None:
    build_plan(executor("song@cpu", ["studio/speak", "studio/sing"], 2), *apart(*NUMBERS))
    routes = orchestrator(tmp_path / "out").routes["song"]
    assert [{*route.stops.values()} for route in routes] == [
        {"studio__speak__sing"},
        {"studio__speak__sing__2"},
    ]


def test_a_second_executor_of_the_same_components_is_numbered_and_routes_are_weighted(
    build_plan: Callable[..., Manifest], studio: list[LoadedModel], tmp_path: Path
) -> None:
    executors = [monolith(), *apart("studio/double"), executor("double@cpu#2", {"studio/double": 16})]
    holders = first_holders(*executors)
    ways = [
        (share, {**holders, "studio/double": name})
        for share, name in ((0.75, "studio/double"), (0.25, "double@cpu#2"))
    ]
    build_plan(plan=hand_plan(studio, executors, ways))
    settings = orchestrator(tmp_path / "out")
    assert [(route.share, route.stops["double"]) for route in settings.routes["numbers"]] == [
        (0.75, "studio__double"),
        (0.25, "studio__double__2"),
    ]
    assert settings.usual["double"] == "studio__double"
    assert settings.usual["sing"] == "studio__double__scale__shift__speak__sing"


def test_each_route_is_compiled_where_no_executor_of_several_is_on_it_and_bytes_are_those_of_profiles(
    build_plan: Callable[..., Manifest], studio: list[LoadedModel], tmp_path: Path
) -> None:
    executors = [executor("numbers@cpu", NUMBERS), *apart()]
    alone = {name: name for name in ALL}
    ways = [(0.25, {**alone, **dict.fromkeys(NUMBERS, "numbers@cpu")}), (0.75, alone)]
    plan = hand_plan(studio, executors, ways)
    size = {"y": OutputSize(nbytes=24, nbytes_per_work=1000)}
    sized = tuple(
        each.model_copy(update={"component": f"studio/{each.component}", "outputs": size})
        for each in plan.profiles.profiles
    )
    profiles = plan.profiles.model_copy(update={"profiles": sized})
    made = build_plan(plan=dataclasses.replace(plan, profiles=profiles))
    found = {each.request_type: each for each in made.paths}["numbers"]
    assert [(way.share, way.ensemble) for way in found.routes] == [
        (0.25, None),
        (0.75, "studio__numbers__path"),
    ]
    assert found.public == "studio.numbers"
    compiled = {f"{edge.producer} {edge.consumer}": edge for edge in found.routes[1].edges}
    assert compiled["double.y scale.x"].nbytes == 1024
    joint = {f"{edge.producer} {edge.consumer}": edge.transport for edge in found.routes[0].edges}
    assert joint["double.y scale.x"] == "inside the executor"
    routes = orchestrator(tmp_path / "out").compiled["numbers"]
    assert [route and route.target for route in routes] == [None, "studio__numbers__path"]
    unlike = "studio/numbers is replayed step by step: studio__double__scale__shift runs parts of paths"
    assert any(note.startswith(unlike) for note in made.notes)


def test_configs_explain_their_numbers_by_the_plan(
    build_plan: Callable[..., Manifest], tmp_path: Path
) -> None:
    build_plan(monolith())
    text = next((tmp_path / "out" / "model_repository").glob("studio__*/config.pbtxt")).read_text()
    assert "# The plan's executor all@cpu: 1 instance here." in text
    assert "# studio/double: 2 runs per second in all of them, in batches of at most 4." in text
    assert "# Of its time, 50% is in use, at most 80% may be. This is what binds." in text


def test_the_manifest_names_the_plan_and_recomputes_the_flags(build_plan: Callable[..., Manifest]) -> None:
    first, second = build_plan(monolith()), build_plan(monolith(instances=4))
    assert first.plan_sha256
    assert first.plan_sha256 != second.plan_sha256
    assert first.tritonserver_flags != second.tritonserver_flags


def test_equal_plans_give_equal_bytes(build_plan: Callable[..., Manifest]) -> None:
    assert build_plan(monolith()).to_json() == build_plan(monolith()).to_json()


def test_each_node_gets_a_build_of_its_own(
    build_plan: Callable[..., Manifest], studio: list[LoadedModel], tmp_path: Path
) -> None:
    executors = [
        executor("numbers@cpu", NUMBERS),
        executor("song@cpu", ALL[3:], [Place("n-1", (0,))]),
    ]
    made = build_plan(*executors)
    assert set(made.nodes) == {"n-0", "n-1"}
    usual = orchestrator(tmp_path / "out" / "n-1").usual
    assert usual["sing"] == "studio__speak__sing"
    assert usual["double"] == "studio__double__scale__shift@n-0"
    assert read_deployment(tmp_path / "out" / "n-1").probes == ("studio_ready",)


def test_a_plan_of_other_models_is_refused_with_every_problem(
    build_plan: Callable[..., Manifest], studio: list[LoadedModel], tmp_path: Path
) -> None:
    plan = plan_of(studio, monolith())
    [whole] = plan.executors
    strange = dataclasses.replace(whole.members[0], component="studio/treble")
    old = dataclasses.replace(plan.demands[0], name="studio/figures")
    wrong = dataclasses.replace(
        plan,
        executors=(dataclasses.replace(whole, members=(strange, *whole.members[1:])),),
        demands=(old, *plan.demands[1:]),
        routes=(
            plan.routes[0],
            dataclasses.replace(plan.routes[1], stops={"speak": Stop("none@cpu", "n-0")}),
        ),
    )
    with pytest.raises(UserError) as caught:
        build_plan(plan=wrong)
    assert problems(caught) == [
        "$.executors[0].members[0].component: 'studio/treble' is no component of these models",
        "$.demands[0]: 'studio/figures' is no request type of these models",
        "$.routes[0]: 'studio/numbers' is no request type of the plan",
        "$.routes[1]: has no executor for speak",
        "$.routes[1]: has no executor for sing",
    ]
    assert not (tmp_path / "out").exists()


def test_what_a_native_backend_cannot_span_is_refused(build_plan: Callable[..., Manifest]) -> None:
    wide = executor("scale@gpux2", ["studio/scale"], [Place("n-0", (0, 1))], "gpu", 2)
    with pytest.raises(UserError, match="spans 2 devices, but Triton gives the backend one"):
        build_plan(wide, *apart("studio/double", *ALL[2:]), backends="ngc")


def test_a_component_that_no_plan_has_placed_is_served_all_the_same(
    build_plan: Callable[..., Manifest], studio: list[LoadedModel], tmp_path: Path
) -> None:
    plan = plan_of(studio, monolith())
    song = dataclasses.replace(
        plan,
        executors=(executor("all@cpu", ALL[3:]),),
        demands=plan.demands[1:],
        routes=plan.routes[1:],
    )
    made = build_plan(plan=song)
    assert "studio__scale is not in the plan: it has the instances that its model.yaml asks for" in made.notes
    assert orchestrator(tmp_path / "out").usual["scale"] == "studio__scale"


def test_it_is_typed_as_build_with_plan(studio: list[LoadedModel], tmp_path: Path) -> None:
    plan_of(studio, monolith()).save(tmp_path / "plan.json")
    folder, out, plan = (str(tmp_path / name) for name in ("studio", "out", "plan.json"))
    result = CliRunner().invoke(app, ["build", folder, "--plan", plan, "-o", out, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["plan_sha256"]
