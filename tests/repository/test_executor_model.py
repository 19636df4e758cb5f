from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from corntriton.repository.build import build
from corntriton.runtime.limits import calls_at_once
from corntriton.runtime.settings import ExecutorSettings, OrchestratorSettings
from corntriton.spec.load import load_models
from tests.repository.hand_plans import executor, hand_plan

APART = ("shift", "speak", "sing")


def test_one_instance_has_places_for_all_calls_that_may_be_under_way_whatever_they_visit(
    write_studio: Callable[..., Path], tmp_path: Path
) -> None:
    studio = load_models([write_studio(tmp_path / "studio")])
    pair = executor("pair@cpu", {"studio/double": 6, "studio/scale": 2}, 3)
    stops = {f"studio/{name}": name for name in APART} | dict.fromkeys(pair.components, pair.name)
    others = [executor(name, [f"studio/{name}"]) for name in APART]
    build(studio, tmp_path / "out", plan=hand_plan(studio, [pair, *others], [(1, stops)]))
    models = tmp_path / "out" / "model_repository"
    settings = ExecutorSettings.load(models / "studio__double__scale" / "1" / "executor.json")
    orchestrator = OrchestratorSettings.load(models / "studio" / "1" / "orchestrator.json")
    target = orchestrator.targets["studio__double__scale"]
    assert target.max_in_flight == 3 * 2 * (6 + 2)
    assert settings.slots >= calls_at_once(target) == 2 * 48
