"""Requests that wait for the same compiled path share a call, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from corntriton.serving.server import Server
from corntriton.serving.traces import traces_of
from tests.e2e.conftest import Watched

pytestmark = pytest.mark.server
N_CLIENTS = 24
PATH = "joining__twice__path"


@pytest.fixture(scope="module")
def joining(build_and_serve: Callable[..., Server]) -> Iterator[Watched]:
    with build_and_serve("joining") as server:
        yield Watched(server)
    assert traces_of(server.id) == []


def ask_all(joining: Watched, orders: list[int], lengths: list[int]) -> list[Any]:
    """The answer to each, or its error."""

    def ask(order: int, length: int) -> Any:
        with joining.connect("grpc") as client:
            try:
                return client.infer("joining", {"order": np.array([order]), "pcm": sound(length)})
            except InferenceServerException as error:
                return error

    with ThreadPoolExecutor(N_CLIENTS) as pool:
        return [*pool.map(ask, orders, lengths)]


def sound(length: int) -> np.ndarray[Any, Any]:
    return np.arange(length, dtype=np.float32)


def check(answer: Any, order: int, length: int) -> None:
    assert not isinstance(answer, Exception), answer
    np.testing.assert_array_equal(answer["pcm"], sound(length) + 2 * order + 1)
    assert answer["order"].tolist() == [order + 2]


def test_each_gets_its_own_answer_though_fewer_calls_are_made(joining: Watched) -> None:
    calls = joining.metric("nv_inference_request_success_total", model=PATH)
    orders, lengths = [*range(48)], [0, 5, 60_000] * 16
    for answer, order, length in zip(ask_all(joining, orders, lengths), orders, lengths, strict=True):
        check(answer, order, length)
    joining.await_metric("corntriton_invocations_total", 48, target=PATH, outcome="ok")
    made = joining.metric("nv_inference_request_success_total", model=PATH) - calls
    assert made < 40, "requests that waited were not joined"


def test_the_request_that_is_wrong_fails_alone(joining: Watched) -> None:
    orders = [-1 if number % 6 == 0 else number for number in range(N_CLIENTS)]
    for answer, order in zip(ask_all(joining, orders, [9] * N_CLIENTS), orders, strict=True):
        if order >= 0:
            check(answer, order, 9)
        else:
            assert isinstance(answer, InferenceServerException)
            assert answer.status() == "StatusCode.INVALID_ARGUMENT"
            place = "model joining, path twice, component first: invalid request: -1 is below 0"
            assert answer.message() == place


def test_all_are_answered_when_the_process_dies_that_works_for_them(joining: Watched) -> None:
    orders = [77, *range(N_CLIENTS - 1)]
    for answer, order in zip(ask_all(joining, orders, [9] * N_CLIENTS), orders, strict=True):
        check(answer, order, 9)
