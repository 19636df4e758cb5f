"""The built repository needs nothing of ours: other folder, other interpreter, server started by hand."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import uuid
import venv
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from corntriton.repository.build import build
from corntriton.serving.launch import find_launcher
from corntriton.serving.ports import FREE_PORTS, Ports, choose_ports
from corntriton.serving.traces import MARK, traces_of
from corntriton.spec.load import load_models

pytestmark = pytest.mark.server
TINY = Path(__file__).parent / "models" / "tiny"
HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter whose environment holds numpy and nothing else."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    venv.create(folder, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    for name in ("numpy", "numpy.libs"):
        (packages / name).symlink_to(Path(np.__file__).parent.parent / name)
    python = folder / "bin" / "python3"
    absent = subprocess.run([python, "-c", "import corntriton"], cwd=folder, capture_output=True, text=True)
    assert "No module named 'corntriton'" in absent.stderr
    return python


@pytest.fixture(scope="module")
def bare_server(bare_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    """The ports of a tritonserver that was started with the flags in the manifest, and nothing of ours."""
    built, moved = tmp_path_factory.mktemp("built") / "out", tmp_path_factory.mktemp("moved") / "elsewhere"
    build(load_models([TINY]), built)
    shutil.copytree(built, moved)
    shutil.rmtree(built)
    launcher, ports = find_launcher(python=str(bare_python)), choose_ports(FREE_PORTS, HOST)
    name = uuid.uuid4().hex
    command = [
        *(str(launcher.installation.binary), *launcher.flags),
        f"--model-repository={moved / 'model_repository'}",
        *(f"--http-port={ports.http}", f"--grpc-port={ports.grpc}", f"--metrics-port={ports.metrics}"),
        *json.loads((moved / "manifest.json").read_text())["tritonserver_flags"],
    ]
    with open(moved / "log", "w") as log:
        process = subprocess.Popen(
            command, env={**launcher.environment, MARK: name}, cwd=moved, stdout=log, stderr=log
        )
    try:
        with closing(tritonclient.http.InferenceServerClient(f"{HOST}:{ports.http}")) as client:
            while not _is_ready(client):
                assert process.poll() is None, (moved / "log").read_text()
                time.sleep(0.2)
        yield ports
    finally:
        process.terminate()
        assert process.wait() == 0, (moved / "log").read_text()
        assert traces_of(name) == []


def _is_ready(client: Any) -> bool:
    try:
        return bool(client.is_server_ready() and client.is_model_ready("tiny_ready"))
    except (OSError, InferenceServerException):  # it does not listen yet
        return False


@pytest.mark.parametrize("module", [tritonclient.http, tritonclient.grpc])
def test_it_answers_plain_calls_of_tritonclient(bare_server: Ports, module: ModuleType) -> None:
    port = bare_server.http if module is tritonclient.http else bare_server.grpc
    text = module.InferInput("text", [1], "BYTES")
    text.set_data_from_numpy(np.array([b"moved"], dtype=object))
    images = module.InferInput("images", [2, 1], "BYTES")
    images.set_data_from_numpy(np.array([[b"one"], [b"three"]], dtype=object))
    outputs = [module.InferRequestedOutput(name) for name in ("answer", "speech")]
    with closing(module.InferenceServerClient(f"{HOST}:{port}")) as client:
        result = client.infer("tiny", [text, images], outputs=outputs, parameters={"loud": True})
    assert result.as_numpy("answer").tolist() == [b"MOVED AND 3 BYTES AND 5 BYTES"]
    assert bytes(result.as_numpy("speech").astype(np.uint8)).startswith(b"It was MOVED AND 3 BYTES")


def test_it_streams_to_a_plain_tritonclient(bare_server: Ports) -> None:
    text = tritonclient.grpc.InferInput("text", [1], "BYTES")
    text.set_data_from_numpy(np.array([b"moved"], dtype=object))
    wanted = [tritonclient.grpc.InferRequestedOutput("story")]
    answers: list[Any] = []
    with closing(tritonclient.grpc.InferenceServerClient(f"{HOST}:{bare_server.grpc}")) as client:
        client.start_stream(lambda result, error: answers.append(error or result))
        client.async_stream_infer("tiny_stream", [text], outputs=wanted)
        client.stop_stream()
    story = b"".join(answer.as_numpy("story").item() for answer in answers)
    assert story == b"It was moved. Then it was more! The end."
