"""The start script on the real embedded server, which lacks two flags: what it refuses, what it serves."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tritonclient.utils import InferenceServerException

from corntriton.deploy.command import deploy
from corntriton.deploy.flags import ADMIN_HEADER, MANAGEMENT
from corntriton.deploy.reading import read_site
from corntriton.serving.client import Client
from corntriton.serving.deployment import read_deployment
from corntriton.serving.find import Installation
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server

pytestmark = pytest.mark.server

TOOL = Path(__file__).parents[2] / "tools" / "build_trt_engine.py"
TOKEN = "a-secret-of-32-letters-and-signs"
NEWER_FLAGS = ("--allow-client-shm", "--grpc-max-response-pool-size")
# Stands before the embedded server: hands on all flags but those that it does not know yet.
SHIM = """#!/usr/bin/env bash
for flag do
  shift
  case "$flag" in
    {newer}) ;;
    *) set -- "$@" "$flag" ;;
  esac
done
exec {binary} "$@"
"""
# One request for each of the management APIs.
REQUESTS = {
    "shared-memory": ("GET", "/v2/systemsharedmemory/status"),
    "model-config": ("GET", "/v2/models/tiny/config"),
    "model-repository": ("POST", "/v2/repository/index"),
    "statistics": ("GET", "/v2/models/tiny/stats"),
    "trace": ("GET", "/v2/trace/setting"),
    "logging": ("GET", "/v2/logging"),
}


@pytest.fixture(scope="module")
def server(unplanned: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The start script of a compose folder, on links to the models as those with engines are served."""
    folder = tmp_path_factory.mktemp("serve")
    deploy(unplanned, "compose", folder / "out", "26.11")
    subprocess.run(
        [sys.executable, TOOL, "repository", unplanned / "model_repository", folder / "models"], check=True
    )
    (folder / "token").write_text(TOKEN)
    launcher = find_launcher()
    shim = folder / "bin" / "tritonserver"
    shim.parent.mkdir()
    newer = "|".join(f"{flag}=*" for flag in NEWER_FLAGS)
    shim.write_text(SHIM.format(newer=newer, binary=launcher.installation.binary))
    shim.chmod(0o755)
    environment = {
        **launcher.environment,
        "PATH": f"{shim.parent}:{launcher.environment['PATH']}",
        "CORNTRITON_MODELS": str(folder / "models"),
        "CORNTRITON_ADMIN_TOKEN_FILE": str(folder / "token"),
    }
    script = Installation(folder / "out" / "serve.sh", embedded=True)
    deployment = replace(read_deployment(unplanned), repository=folder / "models")
    with Server(deployment, replace(launcher, installation=script, environment=environment)) as running:
        yield running


def ask(server: Server, method: str, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(server.http_url)
    connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
    return connection.getresponse().status


def test_the_server_is_ready_and_answers(server: Server) -> None:
    assert ask(server, "GET", "/v2/health/ready") == 200
    assert ask(server, "GET", "/v2/models/tiny_ready/ready") == 200
    for protocol, url in (("http", server.http_url), ("grpc", server.grpc_url)):
        with Client(url, protocol) as client:
            assert client.infer("tiny", {"text": "hello"}, ["answer"])["answer"] == [b"hello"]
    with Client(server.grpc_url, "grpc") as client:
        told = [part for part in client.stream("tiny_stream", {"text": "x"}, ["story"]) if part]
    assert len(told) > 1


def test_there_is_a_request_for_each_management_api() -> None:
    assert set(REQUESTS) == set(MANAGEMENT)


@pytest.mark.parametrize("api", MANAGEMENT)
def test_management_wants_the_secret(api: str, server: Server) -> None:
    method, path = REQUESTS[api]
    assert ask(server, method, path) == 403
    assert ask(server, method, path, **{ADMIN_HEADER: "another"}) == 403
    assert ask(server, method, path, **{ADMIN_HEADER: TOKEN}) == 200


def test_grpc_management_wants_it_too(server: Server) -> None:
    header = {f"triton-grpc-protocol-{ADMIN_HEADER}": TOKEN}
    with Client(server.grpc_url, "grpc") as client:
        with pytest.raises(InferenceServerException, match="restricted"):
            client.triton.get_model_config("tiny")
        assert client.triton.get_model_config("tiny", headers=header).config.name == "tiny"


def test_nobody_loads_a_model_not_even_with_the_secret(server: Server) -> None:
    path = "/v2/repository/models/tiny/unload"
    assert ask(server, "POST", path, **{ADMIN_HEADER: TOKEN}) != 200
    assert ask(server, "GET", "/v2/models/tiny/ready") == 200


def test_the_metrics_that_rules_and_dashboard_read_are_there(server: Server, unplanned: Path) -> None:
    [role] = read_site(unplanned, "26.11").roles
    connection = http.client.HTTPConnection(server.metrics_url)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    for name in (
        "nv_inference_count",
        "nv_inference_exec_count",
        "nv_inference_pending_request_count",
        "nv_inference_queue_duration_us",
        "nv_inference_request_success",
    ):
        assert f'{name}{{model="tiny__compose"' in page
    for model in role.bottleneck.models:  # ensembles among them
        assert f'nv_inference_queue_duration_us{{model="{model}"' in page


def test_only_the_two_newer_flags_are_unknown_to_the_embedded_server(tmp_path: Path, unplanned: Path) -> None:
    deploy(unplanned, "ngc", tmp_path / "out", "26.11")
    launcher = find_launcher()
    command = [launcher.installation.binary, "--help"]
    known = subprocess.run(command, env=launcher.environment, capture_output=True, text=True).stderr
    lines = [line.strip().strip('"') for line in (tmp_path / "out" / "serve.sh").read_text().splitlines()]
    flags = {line.partition("=")[0] for line in lines if line.startswith("--")}
    assert {flag for flag in flags if flag not in known} == set(NEWER_FLAGS)


@pytest.mark.parametrize("secret", ["", "short", "sixteen letters with blanks"])
def test_a_secret_that_is_none_stops_the_start(secret: str, tmp_path: Path, unplanned: Path) -> None:
    deploy(unplanned, "ngc", tmp_path / "out", "26.11")
    (tmp_path / "token").write_text(secret)
    environment = {**os.environ, "CORNTRITON_ADMIN_TOKEN_FILE": str(tmp_path / "token")}
    done = subprocess.run([tmp_path / "out" / "serve.sh"], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "has to hold 16 or more letters" in done.stderr
    assert json.dumps(secret) not in done.stdout
