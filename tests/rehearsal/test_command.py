"""`corntriton rehearse` on the real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from corntriton.cli import app
from tests.rehearsal.plans import SEEN, SPOKEN, crossing, small

ENVIRONMENT = {"COLUMNS": "200"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("rehearsal")
    small().save(found / "plan.json")
    crossing().save(found / "crossing.json")
    return found


@pytest.fixture(scope="module")
def said(folder: Path) -> Any:
    words = ["rehearse", str(folder / "plan.json"), "--requests", "60", "--slower", "1", "--no-search"]
    result = CliRunner().invoke(app, [*words, "--json", "--html", str(folder / "page.html")], env=ENVIRONMENT)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["plans"]["this plan"]


def test_every_request_type_is_predicted_and_measured(said: Any) -> None:
    types = said["common"]["request_types"]
    assert set(types) == {SPOKEN, SEEN}
    for each in types.values():
        assert set(each["predicted_s"]) == set(each["measured_s"]) == {"p50", "p95", "p99"}


def test_a_request_spends_its_time_where_its_path_leads(said: Any) -> None:
    types = said["common"]["request_types"]
    assert set(types[SPOKEN]["parts"]["working_s"]) == {"m/eye", "m/llm", "m/voice"}
    assert set(types[SEEN]["parts"]["working_s"]) == {"m/eye", "m/llm"}


def test_every_instance_of_an_executor_is_seen_at_work(said: Any) -> None:
    uses = said["common"]["executors"]
    assert {name: len(use["instances"]) for name, use in uses.items()} == {"eye+llm": 2, "voice": 1}
    assert all(0 < use["busy"] <= 1.01 for use in uses.values())


def test_the_machine_tells_of_its_own_delays(said: Any) -> None:
    assert said["machine"]["delay_real_s"] > 0
    assert 0 < said["machine"]["cpu"] <= 1
    assert isinstance(said["machine"]["is_bottleneck"], bool)


def test_the_page_holds_its_plots(said: Any, folder: Path) -> None:
    page = (folder / "page.html").read_text()
    assert page.count("Plotly.newPlot") == 3


def test_a_plan_with_a_route_over_two_nodes_is_played_on_two_servers(folder: Path) -> None:
    words = ["rehearse", str(folder / "crossing.json"), "--requests", "60", "--slower", "1", "--no-search"]
    result = CliRunner().invoke(app, [*words, "--json"], env=ENVIRONMENT)
    assert result.exit_code == 0, result.output
    common = json.loads(result.stdout)["plans"]["this plan"]["common"]
    assert set(common["request_types"][SPOKEN]["parts"]["working_s"]) == {"m/eye", "m/llm", "m/voice"}
    assert {name: len(use["instances"]) for name, use in common["executors"].items()} == {
        "eye+llm": 2,
        "voice": 1,
    }
