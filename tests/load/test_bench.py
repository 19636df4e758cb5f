"""`corntriton bench` on the real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from corntriton.cli import app
from corntriton.serving.server import Server
from tests.load.conftest import TINY

WORKLOAD = """
rate_hz: 20
request_types:
  text_to_text: {share: 2, targets: [{percentile: 50, seconds: 30}]}
  video_to_text: {share: 1, targets: [{percentile: 50, seconds: 0.000001}]}
  text_to_speech: {share: 1, targets: [{percentile: 50, of: first_chunk, seconds: 30}]}
"""


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("bench") / "workload.yaml"
    file.write_text(WORKLOAD)
    return str(file)


def bench(server: Server, workload: str, *options: str) -> Any:
    words = ["bench", f"grpc://{server.grpc_url}", "--workload", workload, "--model", str(TINY), *options]
    return CliRunner().invoke(app, words, env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def said(deployed: Server, workload: str) -> Any:
    result = bench(deployed, workload, "--duration", "4", "--warm-up", "1", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_request_is_sent_and_answered_whatever_the_server_does(said: Any) -> None:
    types = said["request_types"]
    assert set(types) == {"text_to_text", "video_to_text", "text_to_speech"}
    assert not any(each["errors"] for each in types.values())
    assert sum(each["requests"] for each in types.values()) == pytest.approx(3 * said["offered_hz"])
    assert said["measured_s"] == 3


def test_goodput_counts_what_met_its_targets(said: Any) -> None:
    types = said["request_types"]
    assert types["text_to_text"]["goodput_hz"]["value"] == pytest.approx(types["text_to_text"]["offered_hz"])
    assert types["video_to_text"]["goodput_hz"]["value"] == 0
    assert [types[name]["targets"][0]["met"] for name in ("text_to_text", "video_to_text")] == [True, False]


def test_a_target_of_the_first_chunk_makes_answers_come_as_streams(said: Any) -> None:
    assert said["streamed"] == ["text_to_speech"]
    streamed = said["request_types"]["text_to_speech"]
    assert streamed["first_chunk_s"]["p50"]["value"] <= streamed["completion_s"]["p50"]["value"]
    assert said["request_types"]["text_to_text"]["first_chunk_s"] is None


def test_the_generator_accounts_for_itself(said: Any) -> None:
    assert said["generator"]["late_s"]["max"] >= said["generator"]["late_s"]["p50"] >= 0
    assert said["generator"]["cpu_share"] > 0
    assert said["made_up"] == ["text_to_text", "video_to_text", "text_to_speech"]


def test_people_get_a_table(deployed: Server, workload: str) -> None:
    result = bench(deployed, workload, "--duration", "2", "--rate", "10", "--stream")
    assert result.exit_code == 0
    for words in ("goodput/s", "the generator was late by", "first p50", "in time", "95 % confidence"):
        assert words in result.stdout


@pytest.mark.parametrize(
    ("address", "options", "fault"),
    [
        ("http://localhost:8000", [], "is no address of a gRPC server"),
        ("grpc://127.0.0.1:1", [], "no Triton server answers there"),
        ("grpc://127.0.0.1:1", ["--warm-up", "60"], "leaves nothing of 60 s"),
        ("grpc://127.0.0.1:1", ["--model", "absent"], "absent"),
    ],
)
def test_bad_input_is_explained_with_code_2(
    workload: str, address: str, options: list[str], fault: str
) -> None:
    words = ["bench", address, "--workload", workload, "--model", str(TINY), *options]
    result = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert fault in result.output


def test_a_model_that_is_not_served_is_named(deployed: Server, tmp_path: Path) -> None:
    for file in TINY.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_text(file.read_text().replace("model: tiny", "model: tinier"))
    (tmp_path / "workload.yaml").write_text("rate_hz: 1\nrequest_types: {text_to_text: {share: 1}}\n")
    words = ["bench", deployed.grpc_url, "--workload", str(tmp_path / "workload.yaml")]
    result = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "the server has no model tinier that is ready" in result.output
