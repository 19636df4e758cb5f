"""`corntriton serve` as a user runs it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corntriton.serving.client import Client
from corntriton.serving.traces import traces_of

pytestmark = pytest.mark.server


def serve(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "corntriton.cli", "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def announced(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What --json prints when the server is ready."""
    assert process.stdout is not None
    lines = []
    while not lines or lines[-1] != "}\n":
        lines.append(process.stdout.readline())
        assert lines[-1], process.communicate()[1]
    found: dict[str, Any] = json.loads("".join(lines))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop_and_leaves_nothing(echo_repository: Path, number: int) -> None:
    process = serve(str(echo_repository), "--free-ports", "--json")
    server = announced(process)
    assert server["endpoints"] == ["echo", "spell"]
    with Client(server["http"]) as client:
        assert client.infer("echo", {"x": ["hello"]})["y"].item() == b"hello"
    process.send_signal(number)
    _, messages = process.communicate()
    assert process.returncode == 0
    assert "tritonserver │ initialized by" in messages
    assert "successfully loaded" not in messages
    assert traces_of(server["id"]) == []


def test_nothing_outlives_it_when_it_is_killed(echo_repository: Path) -> None:
    process = serve(str(echo_repository), "--free-ports", "--json")
    server = announced(process)
    process.kill()
    process.communicate()  # returns when the last process that writes to its stderr is gone
    while traces_of(server["id"]):  # the test's timeout bounds it
        time.sleep(0.1)


def test_a_model_that_does_not_load_is_a_failure_with_its_reason(
    write_models: Callable[..., Path], tmp_path: Path
) -> None:
    process = serve(str(write_models(tmp_path, "broken")), "--free-ports")
    _, messages = process.communicate()
    assert process.returncode == 1
    assert "broken: Internal: ValueError: no weights here" in messages
    assert "Traceback" not in messages


def test_a_taken_port_is_the_users_fault(echo_repository: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        process = serve(str(echo_repository), "--grpc-port", str(other.getsockname()[1]), "--http-port", "0")
        _, messages = process.communicate()
    assert process.returncode == 2
    assert "--free-ports" in messages


def test_the_command_for_the_container_is_printed_and_nothing_started(echo_repository: Path) -> None:
    output, _ = serve(str(echo_repository), "--print-command", "--http-port", "9000").communicate()
    assert output.startswith("docker run")
    assert "--publish=127.0.0.1:9000:8000" in output
    assert f"--volume={echo_repository.resolve()}:/models:ro" in output
