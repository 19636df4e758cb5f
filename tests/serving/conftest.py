"""Small hand-written model repositories, and the embedded server to serve them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import Launcher, find_launcher
from corntriton.serving.server import Server

ECHO = """
import os
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        print("initialized by", os.path.realpath(os.sys.prefix), flush=True)

    def execute(self, requests):
        responses = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            if x.ravel()[0] == b"die":
                os._exit(1)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("y", x)]))
        return responses
"""
BROKEN = """
class TritonPythonModel:
    def initialize(self, args):
        raise ValueError("no weights here")
"""
# Answers each element of x by itself.
SPELL = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            for element in pb_utils.get_input_tensor_by_name(request, "x").as_numpy():
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("y", element.reshape(1, -1))]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


HANG = """
import time

class TritonPythonModel:
    def execute(self, requests):
        time.sleep(600)
"""
CONFIG = """
backend: "python"
max_batch_size: 0
instance_group [ { kind: KIND_CPU } ]
input [ { name: "x" data_type: TYPE_STRING dims: [ -1, 1 ] } ]
output [ { name: "y" data_type: TYPE_STRING dims: [ -1, 1 ] } ]
"""
MODELS = {
    "broken": (BROKEN, CONFIG),
    "echo": (ECHO, CONFIG),
    "hang": (HANG, CONFIG),
    "spell": (SPELL, CONFIG + "model_transaction_policy { decoupled: true }\n"),
}


def _write_models(repository: Path, *names: str) -> Path:
    for name in names:
        code, config = MODELS[name]
        (repository / name / "1").mkdir(parents=True)
        (repository / name / "1" / "model.py").write_text(code)
        (repository / name / "config.pbtxt").write_text(config)
    return repository


@pytest.fixture(scope="session")
def write_models() -> Callable[..., Path]:
    """Writes the named models of this file into a folder."""
    return _write_models


@pytest.fixture(scope="session")
def launcher() -> Launcher:
    return find_launcher()


@pytest.fixture(scope="session")
def echo_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write_models(tmp_path_factory.mktemp("echo"), "echo", "spell")


@pytest.fixture(scope="session")
def make_server(launcher: Launcher) -> Callable[..., Server]:
    return lambda repository, **options: Server(
        read_deployment(repository), launcher, **{"exit_timeout_s": 5, "ready_timeout_s": 60, **options}
    )


@pytest.fixture(scope="module")
def echo_server(make_server: Callable[..., Server], echo_repository: Path) -> Iterator[Server]:
    with make_server(echo_repository) as server:
        yield server
