"""What clients get when components fail, hang or die, and when clients leave; then that all goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from corntriton.serving.client import generate_stream, make_request
from corntriton.serving.traces import traces_of

pytestmark = pytest.mark.server
REQUESTS = "corntriton_requests_total"


@pytest.fixture(autouse=True)
def goes_on_as_before(faulty: Any) -> Iterator[None]:
    """After each test the next request works, and the server has no more processes or regions than before."""
    assert ask(faulty, "first") == b"first"
    before = litter(faulty)
    yield
    for protocol in ("http", "grpc"):
        assert ask(faulty, "still there", protocol) == b"still there"
    for orchestrator in ("faulty", "faulty_stream"):
        faulty.await_metric("corntriton_requests_in_flight", 0, orchestrator=orchestrator)
    while litter(faulty) != before:  # pytest's timeout bounds it
        time.sleep(0.1)


def litter(faulty: Any) -> tuple[int, set[str]]:
    traces = traces_of(faulty.server.id)
    processes = [trace for trace in traces if trace.startswith("process ")]
    return len(processes), {*traces}.difference(processes)


def ask(faulty: Any, order: str, protocol: str = "grpc", **options: Any) -> bytes:
    with faulty.connect(protocol) as client:
        found: bytes = client.infer("faulty", {"order": order}, ["result"], **options)["result"].item()
        return found


@pytest.fixture
def in_background() -> Iterator[Any]:
    with ThreadPoolExecutor(8) as pool:
        yield pool.submit


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_of_a_batch_only_the_request_fails_for_which_the_component_raises(
    faulty: Any, in_background: Any, protocol: str
) -> None:
    failed = faulty.metric(REQUESTS, path="risk", outcome="error")
    asked = [in_background(ask, faulty, order, protocol) for order in ("a", "b", "raise", "c")]
    assert [future.result() for future in asked if future is not asked[2]] == [b"a", b"b", b"c"]
    with pytest.raises(InferenceServerException) as caught:
        asked[2].result()
    assert "model faulty, path risk, component risky: " in str(caught.value)
    assert "no good order" in str(caught.value)
    faulty.await_metric(REQUESTS, failed + 1, path="risk", outcome="error")


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_hanging_component_costs_the_request_its_deadline_and_the_process_its_life(
    faulty: Any, protocol: str
) -> None:
    late = faulty.metric(REQUESTS, path="risk", outcome="deadline")
    [before] = faulty.workers("faulty__risky")
    late_message = pytest.raises(InferenceServerException, match=r"path risk.*: the deadline passed")
    with faulty.logging("parts.py"), late_message:  # the log says where it hung
        ask(faulty, "hang", protocol, timeout_s=0.5)
    assert ask(faulty, "next", protocol) == b"next"
    [after] = faulty.workers("faulty__risky")
    assert after != before
    faulty.await_metric(REQUESTS, late + 1, path="risk", outcome="deadline")


def start_napping(faulty: Any, in_background: Any, component: str, **options: Any) -> Future[bytes]:
    """A request at which the component's process is at work."""
    with faulty.logging(f"{component} begins to nap"):
        asked: Future[bytes] = in_background(ask, faulty, "nap 0.5", **options)
    return asked


def test_an_idempotent_call_is_repeated_when_its_process_is_killed(faulty: Any, in_background: Any) -> None:
    [worker] = faulty.workers("faulty__risky")
    retries = faulty.metric("corntriton_invocation_retries_total", component="risky")
    asked = start_napping(faulty, in_background, "risky")
    os.kill(worker, signal.SIGKILL)
    assert asked.result() == b"nap 0.5"
    faulty.await_metric("corntriton_invocation_retries_total", retries + 1, component="risky")


def test_a_call_that_is_not_idempotent_fails_when_its_process_is_killed(
    faulty: Any, in_background: Any
) -> None:
    [worker] = faulty.workers("faulty__once")
    asked = start_napping(faulty, in_background, "once", parameters={"once": True})
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(InferenceServerException, match="component once: its process ended"):
        asked.result()
    assert ask(faulty, "next", parameters={"once": True}) == b"next"


def test_a_component_that_raises_in_the_middle_ends_the_stream_with_its_error(faulty: Any) -> None:
    with faulty.connect("grpc") as client:
        pieces = client.stream("faulty_stream", {"order": "raise"}, ["drops"])
        assert [next(pieces)["drops"].item() for _ in range(3)] == [b"0 ", b"1 ", b"2 "]
        with pytest.raises(InferenceServerException, match="component drip: ValueError: the tap is broken"):
            next(pieces)


def test_a_process_that_is_killed_while_it_streams_ends_the_stream_with_an_error(faulty: Any) -> None:
    [worker] = faulty.workers("faulty__drip")
    with faulty.connect("grpc") as client:
        pieces = client.stream("faulty_stream", {"order": "drip"}, ["drops"])
        next(pieces)
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(InferenceServerException, match="component drip: its process ended"):
            list(pieces)


def test_a_cancelled_grpc_request_ends_at_once(faulty: Any) -> None:
    left = faulty.metric(REQUESTS, path="risk", outcome="cancelled")
    with faulty.connect("grpc") as client:
        errors: Future[Any] = Future()
        with faulty.logging("risky begins to nap"):
            call = client.triton.async_infer(
                "faulty",
                callback=lambda result, error: errors.set_result(error),
                **make_request(tritonclient.grpc, {"order": "nap 1"}, ["result"]),
            )
        call.cancel()
        assert "CANCELLED" in str(errors.result())
    faulty.await_metric(REQUESTS, left + 1, path="risk", outcome="cancelled")


def test_a_grpc_stream_whose_client_leaves_stops_the_component(faulty: Any) -> None:
    left = faulty.metric(REQUESTS, path="drops", outcome="cancelled")
    with faulty.connect("grpc") as client:
        pieces = client.stream("faulty_stream", {"order": "drip"}, ["drops"])
        assert [next(pieces)["drops"].item() for _ in range(3)] == [b"0 ", b"1 ", b"2 "]
        with faulty.logging("drip has stopped"):
            pieces.close()
    faulty.await_metric(REQUESTS, left + 1, path="drops", outcome="cancelled")


def test_http_tells_nobody_that_the_client_of_a_request_has_left(faulty: Any) -> None:
    done = faulty.metric(REQUESTS, path="risk_once", outcome="ok")
    module = tritonclient.http
    request = make_request(module, {"order": "nap 0.7"}, ["result"], parameters={"once": True})
    body, length = module.InferenceServerClient.generate_request_body(**request)
    headers = {"Inference-Header-Content-Length": str(length)}
    connection = HTTPConnection(faulty.server.http_url)
    with faulty.logging("once begins to nap"):
        connection.request("POST", "/v2/models/faulty/infer", body, headers)
    connection.close()
    faulty.await_metric(REQUESTS, done + 1, path="risk_once", outcome="ok")


def test_an_http_stream_whose_client_leaves_stops_the_component(faulty: Any) -> None:
    left = faulty.metric(REQUESTS, path="drops", outcome="cancelled")
    events = generate_stream(faulty.server.http_url, "faulty_stream", {"order": "drip"})
    next(events)
    with faulty.logging("drip has stopped"):
        events.close()
    faulty.await_metric(REQUESTS, left + 1, path="drops", outcome="cancelled")
