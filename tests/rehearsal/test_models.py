from __future__ import annotations

from pathlib import Path

from corntriton.rehearsal.models import Models
from corntriton.repository.build import build
from corntriton.spec.load import LoadedModel, load_models
from tests.rehearsal.plans import SEEN, small


def loaded(folder: Path, slower: float = 1.0) -> LoadedModel:
    [model] = load_models(Models(small(), slower).write(folder))
    return model


def test_the_paths_of_the_stand_ins_have_the_invocations_of_the_plan(tmp_path: Path) -> None:
    model = loaded(tmp_path)
    for demand in small().demands:
        path = model.paths[demand.name.partition("/")[2]]
        assert [each.id for each in path.invocations] == [each.id for each in demand.invocations]


def test_a_plan_of_routes_within_nodes_can_be_built_with_them(tmp_path: Path) -> None:
    manifest = build([loaded(tmp_path / "models")], tmp_path / "build", plan=small())
    assert {model.executor for model in manifest.models} == {"eye+llm", "voice", None}


def test_outputs_are_as_large_as_the_edges_that_leave_them(tmp_path: Path) -> None:
    model = loaded(tmp_path)
    sizes = {name: part.spec.settings["sizes"] for name, part in model.components.items()}
    assert sizes == {
        "eye": {"0.0": 50_000, "1.0": 50_000},
        "llm": {"0.1": 4000, "1.1": 1},
        "voice": {"0.2": 1},
    }


def test_bytes_shrink_with_time_so_that_memory_is_as_fast_beside_everything_else(tmp_path: Path) -> None:
    eye = loaded(tmp_path, slower=0.1).components["eye"]
    assert eye.spec.settings["sizes"] == {"0.0": 5000, "1.0": 5000}


def test_what_streams_speaks_up_for_its_consumer_and_its_client(tmp_path: Path) -> None:
    llm = loaded(tmp_path).components["llm"]
    assert llm.spec.settings["tells"] == {"0.1": [0.0, 0.5], "1.1": [0.0]}


def test_a_ticket_holds_number_works_and_type() -> None:
    models = Models(small(), 1.0)
    assert models.ticket(7, 1, (1.0, 10.0)) == [7.0, 1.0, 10.0, 0.0, 1.0]
    assert models.plan.demands[1].name == SEEN
