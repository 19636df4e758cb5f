"""A built repository on the real embedded server."""

from __future__ import annotations

import concurrent.futures
import http.client
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from corntriton.repository.build import build
from corntriton.serving.client import Client
from corntriton.serving.server import Server
from corntriton.spec.load import load_models

pytestmark = pytest.mark.server
X = np.array([1.0, 2.0, 3.0], np.float32)


@pytest.fixture(scope="module")
def studio(
    write_studio: Callable[..., Path], serve: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    build(load_models([write_studio(folder / "studio")]), folder / "out")
    with serve(folder / "out") as server:
        yield server


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_classes_onnx_files_and_torchscript_files_answer(studio: Server, protocol: str) -> None:
    url = studio.http_url if protocol == "http" else studio.grpc_url
    with Client(url, protocol) as client:
        numbers = client.infer("studio", {"x": X}, ["numbers"])["numbers"]
    assert numbers.tolist() == [5.0, 9.0, 13.0]


def test_a_model_with_streaming_components_answers_whole_and_in_pieces(studio: Server) -> None:
    with Client(studio.grpc_url, "grpc") as client:
        whole = client.infer("studio", {"text": "one three"}, ["song"])["song"]
        pieces = list(client.stream("studio_stream", {"text": "one three"}, ["song"]))
    assert len(whole) == len("one.three.")
    assert [len(piece["song"]) for piece in pieces] == [len("one."), len("three.")]


def test_requests_of_different_shape_join_one_batch(studio: Server) -> None:
    def ask(length: int) -> int:
        with Client(studio.http_url) as client:
            outputs = client.infer("studio", {"x": np.ones(length, np.float32)}, ["numbers", "together"])
        assert len(outputs["numbers"]) == length
        return int(outputs["together"][0])

    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        together = list(pool.map(ask, range(1, 10)))
    assert max(together) > 1


def test_the_probe_refuses_to_run_anything(studio: Server) -> None:
    with (
        Client(studio.grpc_url, "grpc") as client,
        pytest.raises(InferenceServerException, match="only tells"),
    ):
        list(client.stream("studio_ready", {"probe": np.array([True])}))


def is_ready(server: Server, model: str) -> bool:
    connection = http.client.HTTPConnection(server.http_url, timeout=5)
    connection.request("GET", f"/v2/models/{model}/ready")
    return connection.getresponse().status == 200


def test_loading_the_probe_loads_the_model_and_it_is_ready_exactly_while_all_of_it_is(
    build_studio: Callable[..., Any], serve: Callable[..., Server], tmp_path: Path
) -> None:
    build_studio()
    server = serve(tmp_path / "out", "--model-control-mode=explicit", "--load-model=studio_ready", wait=False)
    with server, Client(server.grpc_url, "grpc") as client:
        assert is_ready(server, "studio_ready")
        compiled = ("studio__numbers__path", "studio.numbers")
        for part in (*compiled, "studio__scale", "studio__speak", "studio__sing", "studio", "studio_stream"):
            client.triton.unload_model(part)
            while is_ready(server, part):
                pass
            assert not is_ready(server, "studio_ready"), part
            client.triton.load_model(part)
            assert is_ready(server, "studio_ready"), part


def test_the_probe_is_not_ready_when_a_component_failed_to_load(
    build_studio: Callable[..., Any], serve: Callable[..., Server], tmp_path: Path
) -> None:
    build_studio()
    wait = tmp_path / "out" / "model_repository" / "studio__double" / "1" / "files" / "wait"
    wait.write_text("not a number")
    server = serve(tmp_path / "out", "--model-control-mode=explicit", wait=False)
    with server, Client(server.grpc_url, "grpc") as client:
        with pytest.raises(InferenceServerException, match="studio_ready"):
            client.triton.load_model("studio_ready")
        client.triton.load_model("studio")
        assert is_ready(server, "studio")  # by itself it knows nothing of its components
        assert not is_ready(server, "studio_ready")
        wait.write_text("0")
        client.triton.load_model("studio__double")
        assert is_ready(server, "studio_ready")
