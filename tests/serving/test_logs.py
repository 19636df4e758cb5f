from __future__ import annotations

import pytest

from corntriton.serving import logs
from corntriton.serving.logs import LogLine, explain_failure, parse_line

FAILED = (
    "E1122 00:06:05.875634 7514 model_lifecycle.cc:642] \"failed to load 'bad' version 1: Internal: "
    'ValueError: no \\"weights\\"\\nhere\\n\\nAt:\\n  bad/1/model.py(3): initialize\\n"'
)


def lines(*raw: str) -> list[LogLine]:
    return [line for line in map(parse_line, raw) if line is not None]


def test_a_line_of_the_server_is_taken_apart_and_its_line_breaks_are_real() -> None:
    line = parse_line(FAILED)
    assert line is not None
    assert (line.severity, line.source) == ("error", "model_lifecycle.cc")
    assert '"weights"\nhere' in line.text


def test_what_a_component_prints_or_logs_is_notable_and_what_the_server_chats_is_not() -> None:
    printed, logged, chat = lines(
        "loading weights",
        'I1122 00:06:05.707505 7514 model.py:5] "from the logger"',
        'I1122 00:06:04.260845 7514 model_lifecycle.cc:472] "loading: bad:1"',
    )
    assert printed.severity == "output"
    assert printed.notable
    assert logged.notable
    assert not chat.notable


def test_the_tables_that_the_server_draws_are_left_out() -> None:
    assert lines("+------+", "| echo | READY |", "") == []


@pytest.mark.parametrize("has_gpu", [True, False])
def test_what_every_machine_without_a_gpu_reports_is_notable_only_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, has_gpu: bool
) -> None:
    monkeypatch.setattr(logs, "has_gpu", lambda: has_gpu)
    [line] = lines('E1122 00:06:04.2 1 ensemble_scheduler.cc:1] "CUDA driver version is insufficient"')
    assert line.notable == has_gpu


def test_each_failed_model_is_named_once_with_its_reason() -> None:
    refused = (
        "E1122 00:00:00.1 1 model_repository_manager.cc:1] \"Poll failed for model directory 'odd': "
        'unexpected name"'
    )
    reason = explain_failure(
        lines(FAILED, FAILED, refused, 'E1122 00:00:00.1 1 main.cc:1] "failed to load all"')
    )
    assert reason.count('no "weights"') == 1
    assert "odd: unexpected name" in reason
    assert "failed to load all" not in reason


def test_of_many_models_that_failed_the_first_are_explained_and_the_others_named() -> None:
    failed = [FAILED.replace("'bad'", f"'bad{number}'") for number in range(5)]
    reason = explain_failure(lines(*failed))
    assert reason.count("weights") == 3
    assert reason.endswith("also failed: bad3, bad4")


def test_without_a_failed_model_the_last_errors_are_the_reason() -> None:
    assert explain_failure(lines('E1122 00:00:00.1 1 main.cc:257] "failed to start"')) == "failed to start"
    assert explain_failure([]) == "it gave no reason"


def test_a_taken_port_and_a_loaded_model_are_recognised() -> None:
    taken, loaded = lines(
        'E1122 00:08:07.292479 9158 main.cc:257] "failed to start HTTP service: Unavailable - Socket '
        "'127.0.0.1:18223' already in use \"",
        "I1122 00:06:05.711873 7514 model_lifecycle.cc:839] \"successfully loaded 'echo'\"",
    )
    assert taken.port_taken
    assert not loaded.port_taken
    assert loaded.loaded_model == "echo"
