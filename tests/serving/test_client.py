from __future__ import annotations

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from corntriton.serving.client import Client, generate_stream, to_array
from corntriton.serving.server import Server

pytestmark = pytest.mark.server


def test_values_become_tensors_of_the_form_that_models_take() -> None:
    assert to_array("é").tolist() == ["é".encode()]
    assert to_array(b"raw").shape == (1,)
    assert to_array(["a", "b"]).shape == (2, 1)
    assert to_array([np.zeros(3, np.float32)] * 2).shape == (2, 3)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_answers_are_arrays_by_name_and_only_those_asked_for(echo_server: Server, protocol: str) -> None:
    url = echo_server.http_url if protocol == "http" else echo_server.grpc_url
    with Client(url, protocol) as client:
        answer = client.infer("echo", {"x": ["a", "b"]}, outputs=["y"], parameters={"n": 1}, timeout_s=10)
        assert answer["y"].tolist() == [[b"a"], [b"b"]]
        with pytest.raises(InferenceServerException, match="z"):
            client.infer("echo", {"x": ["a"]}, outputs=["z"])


def test_a_stream_gives_every_answer_in_order_and_ends(echo_server: Server) -> None:
    with Client(echo_server.grpc_url, "grpc") as client:
        for _ in range(2):
            answers = [answer["y"].item() for answer in client.stream("spell", {"x": [*"triton"]})]
            assert answers == [b"t", b"r", b"i", b"t", b"o", b"n"]


def test_a_stream_that_fails_raises(echo_server: Server) -> None:
    with (
        Client(echo_server.grpc_url, "grpc") as client,
        pytest.raises(InferenceServerException, match="absent"),
    ):
        list(client.stream("absent", {"x": ["a"]}))


def test_http_streams_the_same_answers_as_events(echo_server: Server) -> None:
    events = list(generate_stream(echo_server.http_url, "spell", {"x": ["o", "k"]}))
    assert [event["y"] for event in events] == ["o", "k"]


def test_http_streams_report_a_refusal(echo_server: Server) -> None:
    with pytest.raises(RuntimeError, match="absent"):
        list(generate_stream(echo_server.http_url, "absent", {"x": ["a"]}))
