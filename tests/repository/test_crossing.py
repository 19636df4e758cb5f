"""What `build --plan` writes for several nodes: any server takes any request and knows where the rest is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corntriton.cli import app
from corntriton.errors import UserError
from corntriton.planner.plan import Place, Plan, Stop
from corntriton.repository import pbtxt
from corntriton.repository.build import build
from corntriton.repository.manifest import Manifest
from corntriton.runtime.limits import thread_pool_size
from corntriton.runtime.settings import OrchestratorSettings
from corntriton.runtime.transfer.settings import MODEL, TransferSettings
from corntriton.spec.load import load_models
from tests.repository.crossing import MODELS, PLANS, crossing_models, two
from tests.repository.hand_plans import executor, hand_plan

TYPES = {
    "tiny": ("text_to_text", "speech_to_text", "video_to_text", "text_to_speech"),
    "passing": ("image", "size", "lines"),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Manifest, Plan]]:
    """A build of one of the plans; each is built once."""
    models = crossing_models()
    made: dict[str, tuple[Path, Manifest, Plan]] = {}

    def run(name: str) -> tuple[Path, Manifest, Plan]:
        if name not in made:
            out, plan = tmp_path_factory.mktemp(name) / "out", PLANS[name](models)
            made[name] = (out, build(models, out, plan=plan), plan)
        return made[name]

    return run


def orchestrator(out: Path, node: str, model: str) -> OrchestratorSettings:
    return OrchestratorSettings.load(version(out, node, model) / "orchestrator.json")


def version(out: Path, node: str, model: str) -> Path:
    return out / node / "model_repository" / model / "1"


def test_every_server_has_every_model(built: Callable[[str], tuple[Path, Manifest, Plan]]) -> None:
    _, manifest, _ = built("three")
    for made in manifest.nodes.values():
        assert {"tiny", "tiny_stream", "passing"} <= {*made.endpoints}
        assert made.probes == ("passing_ready", "tiny_ready")


def test_nodes_that_serve_the_same_are_one_role_and_have_equal_orchestrators(
    built: Callable[[str], tuple[Path, Manifest, Plan]],
) -> None:
    out, manifest, _ = built("twins")
    assert {node: (made.role, made.calls) for node, made in manifest.nodes.items()} == {
        "n-0": ("n-0", ("n-1",)),
        "n-1": ("n-1", ("n-0",)),
        "n-2": ("n-1", ("n-0",)),
    }
    for model in ("tiny", "tiny_stream", "passing"):
        first, second = (version(out, node, model) / "orchestrator.json" for node in ("n-1", "n-2"))
        assert first.read_bytes() == second.read_bytes()
    assert orchestrator(out, "n-2", "tiny").role == "n-1"


def test_targets_of_other_roles_say_where_they_are_and_routes_name_them(
    built: Callable[[str], tuple[Path, Manifest, Plan]],
) -> None:
    out, _, _ = built("twins")
    here, there = (orchestrator(out, node, "tiny") for node in ("n-0", "n-2"))
    assert (here.targets["tiny__tell@n-1"].server, here.targets["tiny__tell@n-1"].model_name) == (
        "n-1",
        "tiny__tell",
    )
    assert here.targets["tiny__compose"].server == there.targets["tiny__tell"].server == ""
    [route] = here.routes["text_to_speech"]
    assert route.share == 1
    assert route.stops == {
        "compose": "tiny__compose",
        "tell": "tiny__tell@n-1",
        "voice": "tiny__voice@n-1",
    }
    [route] = there.routes["text_to_speech"]
    assert route.stops == {"compose": "tiny__compose@n-0", "tell": "tiny__tell", "voice": "tiny__voice"}


def test_each_server_of_a_role_adds_to_what_may_be_under_way_there(
    built: Callable[[str], tuple[Path, Manifest, Plan]],
) -> None:
    out, _, _ = built("twins")
    there = orchestrator(out, "n-1", "tiny").targets["tiny__voice"]
    here = orchestrator(out, "n-0", "tiny").targets["tiny__voice@n-1"]
    assert here.max_in_flight == 2 * there.max_in_flight


def test_a_part_of_a_path_in_one_process_is_one_target_on_another_server_too(
    built: Callable[[str], tuple[Path, Manifest, Plan]],
) -> None:
    out, _, _ = built("two")
    target = orchestrator(out, "n-0", "tiny").targets["tiny__compose__tell__voice@n-1"]
    assert {*target.members} == {"compose", "tell", "voice"}


def test_components_beyond_any_route_go_to_the_own_role_if_it_has_them(
    built: Callable[[str], tuple[Path, Manifest, Plan]],
) -> None:
    out, _, _ = built("three")
    assert orchestrator(out, "n-0", "tiny").usual["compose"] == "tiny__compose"
    assert orchestrator(out, "n-1", "tiny").usual == {
        "caption": "tiny__caption@n-0",
        "compose": "tiny__compose__tell__voice",
        "listen": "tiny__listen@n-0",
        "shout": "tiny__shout@n-0",
        "tell": "tiny__compose__tell__voice",
        "voice": "tiny__compose__tell__voice",
    }
    # Two have it, the one with more of its traffic is called: equal traffic, the first of them.
    assert orchestrator(out, "n-2", "tiny").usual["compose"] == "tiny__compose@n-0"


def test_routes_that_begin_elsewhere_are_known_all_the_same(
    built: Callable[[str], tuple[Path, Manifest, Plan]],
) -> None:
    out, _, _ = built("two")
    shares = {
        node: [route.share for route in orchestrator(out, node, "tiny").routes["text_to_text"]]
        for node in ("n-0", "n-1")
    }
    assert shares == {"n-0": [1, 0], "n-1": [0, 1]}


@pytest.mark.parametrize("name", [*PLANS])
def test_under_a_balancer_all_servers_together_send_the_plans_shares_along_each_route(
    name: str, built: Callable[[str], tuple[Path, Manifest, Plan]]
) -> None:
    out, manifest, plan = built(name)
    for model, types in TYPES.items():
        for request_type in types:
            wanted = _shares_of_plan(plan, manifest, f"{model}/{request_type}")
            found: dict[frozenset[str], float] = {}
            for node in manifest.nodes:
                settings = orchestrator(out, node, model)
                for route in settings.routes[request_type]:
                    places = frozenset(
                        f"{id} {settings.targets[stop].server or settings.role}"
                        for id, stop in route.stops.items()
                    )
                    found[places] = found.get(places, 0.0) + route.share / len(manifest.nodes)
            assert found == pytest.approx(wanted, abs=1e-8)


def _shares_of_plan(plan: Plan, manifest: Manifest, request_type: str) -> dict[frozenset[str], float]:
    """By the role of each invocation."""
    found: dict[frozenset[str], float] = {}
    for route in plan.routes_of(request_type):
        places = frozenset(f"{id} {manifest.nodes[stop.node].role}" for id, stop in route.stops.items())
        found[places] = found.get(places, 0.0) + route.share
    return found


def test_only_routes_that_stay_on_their_server_are_compiled_and_the_others_say_why(
    built: Callable[[str], tuple[Path, Manifest, Plan]],
) -> None:
    out, manifest, _ = built("two")
    paths = {(each.model, each.request_type): each for each in manifest.nodes["n-0"].paths}
    near, far = paths["tiny", "speech_to_text"].routes
    assert (near.ensemble, near.not_compiled) == ("tiny__speech_to_text__path", None)
    assert (far.ensemble, far.not_compiled and far.not_compiled.rule) == (None, "elsewhere")
    note = "tiny/speech_to_text is replayed step by step: compose is on another server, n-1"
    assert note in manifest.nodes["n-0"].notes
    compiled = orchestrator(out, "n-0", "tiny").compiled["speech_to_text"]
    assert [route and route.target for route in compiled] == ["tiny__speech_to_text__path", None]


def test_a_tensor_that_crosses_by_ref_is_pulled(
    built: Callable[[str], tuple[Path, Manifest, Plan]],
) -> None:
    _, manifest, _ = built("two")
    [size] = [each for each in manifest.nodes["n-0"].paths if each.request_type == "size"]
    edges = {f"{edge.producer} {edge.consumer}": edge for edge in size.routes[0].edges}
    edge = edges["fill.data count.data"]
    assert (edge.transport, edge.rule) == ("pulled from another server", "varies")


def test_every_server_has_the_model_that_pulls_and_its_probes_wait_for_it(
    built: Callable[[str], tuple[Path, Manifest, Plan]],
) -> None:
    out, manifest, _ = built("twins")
    for node, made in manifest.nodes.items():
        [entry] = [model for model in made.models if model.kind == "transfer"]
        assert (entry.name, entry.instances, entry.serves) == (MODEL, 1, ("passing", "tiny"))
        settings = TransferSettings.load(version(out, node, MODEL) / "transfer.json")
        assert (settings.role, settings.arena_bytes) == (made.role, 2 << 30)
        # Twice what three servers with three orchestrators, one of which streams, hold: 1024 requests each.
        assert settings.max_leases == 2 * 3 * 3 * 1024
        for probe in made.probes:
            config = pbtxt.parse((version(out, node, probe).parent / "config.pbtxt").read_text())
            steps = {step.model_name for step in config.ensemble_scheduling.step}
            own = {model.name for model in made.models if model.kind in ("component", "executor")}
            assert MODEL in steps
            assert {step for step in steps if "__" in step and not step.endswith("__path")} <= own
        assert "tritonclient[grpc]" in made.requirements


def test_calls_of_other_servers_take_no_thread_of_the_server(
    built: Callable[[str], tuple[Path, Manifest, Plan]],
) -> None:
    out, manifest, _ = built("two")
    for node, made in manifest.nodes.items():
        sizes = [thread_pool_size([orchestrator(out, node, model)]) for model in TYPES]
        assert made.tritonserver_flags == (f"--backend-config=python,thread-pool-size={max(sizes)}",)
        here = orchestrator(out, node, "tiny")
        local = {name: each for name, each in here.targets.items() if not each.server}
        assert local.keys() != here.targets.keys()
        assert thread_pool_size([here]) == thread_pool_size([replace(here, targets=local)])


def test_notes_name_the_roles_that_have_to_know_of_each_other(
    built: Callable[[str], tuple[Path, Manifest, Plan]],
) -> None:
    _, manifest, _ = built("twins")
    notes = manifest.nodes["n-2"].notes
    assert "its servers are of role n-1; CORNTRITON_SERVERS has to name those of n-0, n-1" in notes
    assert "tiny/text_to_speech leads over servers of n-0 and n-1" in notes


def test_equal_plans_give_equal_bytes(
    built: Callable[[str], tuple[Path, Manifest, Plan]], tmp_path: Path
) -> None:
    _, manifest, plan = built("two")
    assert build(crossing_models(), tmp_path / "out", plan=plan).to_json() == manifest.to_json()


def test_several_nodes_that_serve_the_same_need_nothing_of_each_other(tmp_path: Path) -> None:
    models = load_models([MODELS / "passing"])
    names = [f"passing/{name}" for name in models[0].components]
    everywhere = executor("all@cpu", names, [Place("n-0", (0,)), Place("n-1", (0,))])
    ways = [(0.5, dict.fromkeys(names, Stop("all@cpu", node))) for node in ("n-0", "n-1")]
    made = build(models, tmp_path / "out", plan=hand_plan(models, [everywhere], ways))
    for node, its_manifest in made.nodes.items():
        assert (its_manifest.role, its_manifest.calls) == ("", ())
        assert "tritonclient[grpc]" not in its_manifest.requirements
        assert all(model.kind != "transfer" for model in its_manifest.models)
        settings = orchestrator(tmp_path / "out", node, "passing")
        assert settings.role == ""
        assert [route.share for route in settings.routes["size"]] == [1.0]


def test_nodes_whose_names_could_not_stand_in_an_environment_variable_are_refused(tmp_path: Path) -> None:
    models = load_models([MODELS / "passing"])
    names = [f"passing/{name}" for name in models[0].components]
    everywhere = executor("all@cpu", names, [Place("a=b", (0,)), Place("n-1", (0,))])
    plan = hand_plan(models, [everywhere], [(1, dict.fromkeys(names, "all@cpu"))])
    named = plan.cluster.nodes["n"].model_copy(update={"count": None, "names": ("a=b", "n-1")})
    cluster = plan.cluster.model_copy(update={"nodes": {"n": named}})
    with pytest.raises(UserError) as caught:
        build(models, tmp_path / "out", plan=replace(plan, cluster=cluster))
    [problem] = caught.value.problems
    assert (problem.path, problem.what) == (
        "$.cluster.nodes",
        "'a=b' is no name that servers can be told apart by",
    )


def test_people_see_how_to_serve_the_nodes_here_and_elsewhere(tmp_path: Path) -> None:
    two(crossing_models()).save(tmp_path / "plan.json")
    words = [str(MODELS / "tiny"), str(MODELS / "passing"), "--plan", str(tmp_path / "plan.json")]
    said = CliRunner().invoke(app, ["build", *words, "-o", str(tmp_path / "out")]).stdout
    assert f"next: corntriton serve {tmp_path / 'out'}, for all of them on this machine" in said
    assert f'{tmp_path / "out" / "n-1"} --servers "n-0=HOST:PORT,n-1=HOST:PORT"' in said


def test_what_would_pass_on_a_gpu_passes_by_the_host_between_servers_and_the_notes_say_so(
    tmp_path: Path,
) -> None:
    folder = shutil.copytree(MODELS / "devices", tmp_path / "devices")
    (folder / "outside.py").touch()
    models = load_models([folder])
    first, *others = (f"devices/{name}" for name in ("fill", "triple", "total", "gather", "peek"))
    executors = [
        executor(first, [first], [Place("n-0", (0,))], device="gpu"),
        *(executor(name, [name], [Place("n-1", (0,))], device="gpu") for name in others),
    ]
    plan = hand_plan(models, executors, [(1, {name: name for name in (first, *others)})])
    made = build(models, tmp_path / "out", "ngc", plan=plan)
    note = "devices/chain: fill.y -> triple.x passes by the host on routes over several servers"
    assert all(note in its_manifest.notes for its_manifest in made.nodes.values())
    there = orchestrator(tmp_path / "out", "n-0", "devices").targets["devices__triple@n-1"]
    assert (there.ref_inputs, there.dref_inputs, there.dref_outputs) == (["x"], [], [])
    here = orchestrator(tmp_path / "out", "n-1", "devices").targets["devices__triple"]
    assert (here.dref_inputs, here.dref_outputs) == (["x"], ["y"])
