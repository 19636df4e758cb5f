"""Streams that pass over gRPC within their server do as those that pass through BLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from corntriton.repository.build import build
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server
from corntriton.serving.traces import traces_of
from corntriton.spec.load import load_models
from tests.e2e import test_answers as answers
from tests.e2e import test_faults as faults
from tests.e2e.conftest import MODELS, Watched

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def by_grpc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Both models on one server."""
    folder = tmp_path_factory.mktemp("loopback")
    build(load_models([MODELS / "faulty", MODELS / "tiny"]), Path(folder, "out"))
    deployment = read_deployment(Path(folder, "out"))
    with Server(deployment, find_launcher(), exit_timeout_s=10, streams_by_grpc=True) as server:
        yield Watched(server)
    assert traces_of(server.id) == []


@pytest.mark.parametrize("sort", ["text_to_text", "text_to_speech", "everything"])
def test_pieces_join_to_the_whole_answer(by_grpc: Any, sort: str) -> None:
    answers.test_grpc_streams_pieces_that_join_to_the_whole_answer(by_grpc, sort)


@pytest.mark.parametrize(
    "case",
    [
        faults.test_a_component_that_raises_in_the_middle_ends_the_stream_with_its_error,
        faults.test_a_process_that_is_killed_while_it_streams_ends_the_stream_with_an_error,
        faults.test_a_grpc_stream_whose_client_leaves_stops_the_component,
        faults.test_an_http_stream_whose_client_leaves_stops_the_component,
    ],
    ids=lambda case: case.__name__.removeprefix("test_"),
)
def test_faults_end_as_elsewhere(by_grpc: Any, case: Callable[[Any], None]) -> None:
    case(by_grpc)
    assert faults.ask(by_grpc, "still there") == b"still there"
    by_grpc.await_metric("corntriton_requests_in_flight", 0, orchestrator="faulty_stream")
