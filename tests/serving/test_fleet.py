"""The servers of several nodes on one machine."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from corntriton.repository.build import build
from corntriton.runtime.remote.addresses import parse
from corntriton.runtime.shm.regions import DIRECTORY_VARIABLE
from corntriton.serving.client import Client
from corntriton.serving.deployment import read_nodes
from corntriton.serving.fleet import Fleet
from corntriton.serving.launch import find_launcher
from corntriton.serving.traces import processes_of, traces_of
from tests.repository.crossing import crossing_models, two

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out, models = tmp_path_factory.mktemp("two") / "out", crossing_models()
    build(models, out, plan=two(models))
    return out


@pytest.fixture(scope="module")
def fleet(built: Path) -> Iterator[Fleet]:
    with Fleet(read_nodes(built), find_launcher(), exit_timeout_s=10, ready_timeout_s=120) as running:
        yield running
    assert [traces_of(server.id) for server in running.servers.values()] == [[], []]


def environment(process: int) -> dict[str, str]:
    text = Path(f"/proc/{process}/environ").read_text()
    return dict(each.partition("=")[::2] for each in text.split("\0") if each)  # type: ignore[misc]


@pytest.mark.parametrize("node", ["n-0", "n-1"])
def test_any_server_answers_any_request_at_once(fleet: Fleet, node: str) -> None:
    with Client(fleet.servers[node].http_url) as client:
        for _ in range(4):
            assert client.infer("tiny", {"text": "hello"}, ["answer"])["answer"].item() == b"hello"
            assert (
                client.infer("passing", {"size": np.array([3_000_000])}, ["total"])["total"].item()
                == 3_000_000
            )


def test_each_server_is_told_of_all_and_has_memory_of_its_own(fleet: Fleet) -> None:
    told = {}
    for node, server in fleet.servers.items():
        told[node] = environment(processes_of(server.id)[0])
        assert Path(told[node][DIRECTORY_VARIABLE]).name == f"{server.id}-tensors"
    first, second = (each["CORNTRITON_SERVERS"] for each in told.values())
    assert first == second
    assert {
        role: [f"{each.host}:{each.port}" for each in endpoints] for role, endpoints in parse(first).items()
    } == {node: [server.grpc_url] for node, server in fleet.servers.items()}


def test_serve_starts_all_nodes_of_a_build_and_stops_them_together(built: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "corntriton.cli", "serve", str(built), "--free-ports", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    text = "".join(iter(process.stdout.readline, "}\n")) + "}"
    nodes = json.loads(text)["nodes"]
    assert {*nodes} == {"n-0", "n-1"}
    assert "tiny" in nodes["n-1"]["endpoints"]
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 0
    assert [traces_of(node["id"]) for node in nodes.values()] == [[], []]
