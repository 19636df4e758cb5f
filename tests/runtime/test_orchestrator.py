"""The orchestrator on the real server, with the model of tests/runtime/relay as `build` writes it."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
from prometheus_client.parser import text_string_to_metric_families
from tritonclient.utils import InferenceServerException

from corntriton.planner.plan import Place, Plan
from corntriton.repository.build import build
from corntriton.serving.client import Client, generate_stream, make_request
from corntriton.serving.deployment import read_nodes
from corntriton.serving.fleet import Fleet
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server
from corntriton.spec.load import LoadedModel, load_models
from tests.repository.hand_plans import executor, hand_plan

pytestmark = pytest.mark.server
PATIENCE_S = 20
STREAM = {"way": "stream"}


@pytest.fixture(scope="module", params=["here", "elsewhere"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The orchestrator's, with its components on the same server, or on another one."""
    folder = tmp_path_factory.mktemp("relay") / "built"
    models = load_models([Path(__file__).parent / "relay"])
    build(models, folder, plan=_elsewhere(models) if request.param == "elsewhere" else None)
    # Tracing is off until a test turns it on, which takes a file named at the start.
    trace = [f"--trace-config={option}" for option in _trace(folder.parent / "trace")]
    deployments = {
        node: replace(built, flags=(*built.flags, *trace)) for node, built in read_nodes(folder).items()
    }
    with Fleet(deployments, find_launcher(), exit_timeout_s=10) as fleet:
        yield next(iter(fleet.servers.values()))


def _elsewhere(models: list[LoadedModel]) -> Plan:
    """Nothing but `merge` is on the first server."""
    names = [f"relay/{name}" for name in models[0].spec.components]
    executors = [
        executor(name, [name], [Place("n-0" if name == "relay/merge" else "n-1", (0,))]) for name in names
    ]
    return hand_plan(models, executors, [(1, {name: name for name in names})])


def _trace(file: Path) -> tuple[str, ...]:
    return "mode=triton", f"triton,file={file}", "level=OFF"


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with Client(server.grpc_url, "grpc") as client:
        yield client


def answer(client: Client, text: str, **request) -> str:
    return client.infer("relay", {"text": text, **request.pop("inputs", {})}, ["answer"], **request)[
        "answer"
    ][0].decode()


def failure(client: Client, text: str, **request) -> tuple[str, str]:
    with pytest.raises(InferenceServerException) as caught:
        answer(client, text, **request)
    return str(caught.value.status()), caught.value.message()


def metric(server: Server, name: str, **labels: str) -> float:
    with urllib.request.urlopen(f"http://{server.metrics_url}/metrics") as page:
        families = text_string_to_metric_families(page.read().decode())
    # The parser adds _total to the names of all counters, those of a histogram's parts too.
    names = (name, f"{name}_total")
    samples = [sample for family in families for sample in family.samples if sample.name in names]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def eventually(true: Callable[[], object]) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < give_up_s, "it never came true"
        time.sleep(0.05)


def requests_in_flight(server: Server) -> float:
    return metric(server, "corntriton_requests_in_flight", orchestrator="relay")


async def ask_at_once(server: Server, texts: list[str], **request) -> list[object]:
    async with tritonclient.grpc.aio.InferenceServerClient(server.grpc_url) as client:
        made = [make_request(tritonclient.grpc.aio, {"text": text}, ["answer"], **request) for text in texts]
        return await asyncio.gather(*(client.infer("relay", **one) for one in made), return_exceptions=True)


def test_branches_and_lists_come_together_over_both_protocols(server: Server, client: Client) -> None:
    assert answer(client, "a") == "A+."
    with Client(server.http_url, "http") as http:
        assert answer(http, "a", inputs={"texts": ["b", "c", "d"]}) == "A+B+C+D"


def test_256_requests_at_once_each_get_their_own_answer(server: Server) -> None:
    texts = [f"number {number}" for number in range(256)]
    results = asyncio.run(ask_at_once(server, texts))
    assert [result.as_numpy("answer")[0].decode() for result in results] == [
        f"{text.upper()}+." for text in texts
    ]


def test_only_the_outputs_asked_for_come_back(client: Client) -> None:
    assert set(client.infer("relay", {"text": "a b."}, ["speech"], STREAM)) == {"speech"}
    assert set(client.infer("relay", {"text": "a b."}, parameters=STREAM)) == {"answer", "speech"}


def test_an_input_may_be_an_output(client: Client) -> None:
    assert answer(client, "as it is", parameters={"way": "echo"}) == "as it is"


def test_requests_may_be_traced(client: Client) -> None:
    client.triton.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"], "trace_rate": "1"})
    assert [answer(client, "a") for _ in range(20)] == ["A+."] * 20
    client.triton.update_trace_settings(settings={"trace_level": ["OFF"]})


def test_a_component_that_raises_is_named_with_its_path(client: Client) -> None:
    status, text = failure(client, "fail")
    assert status == "StatusCode.INTERNAL"
    assert text == "model relay, path plain, component shout: ValueError: told to fail"
    assert answer(client, "next") == "NEXT+."


def test_a_flow_that_cannot_be_recorded_teaches_whoever_asked_first(client: Client) -> None:
    status, text = failure(client, "a", parameters={"way": "peek"})
    assert status == "StatusCode.INVALID_ARGUMENT"
    assert text.startswith("model relay: flow.py: line ")
    assert "To fix: " in text


def test_at_its_deadline_a_request_gets_its_error_though_its_component_still_works(client: Client) -> None:
    begin_s = time.monotonic()
    status, text = failure(client, "sleep 3", timeout_s=0.3)
    assert time.monotonic() - begin_s < 3
    assert status == "StatusCode.UNAVAILABLE"
    assert text.startswith("model relay, path plain: the deadline passed 0.3")
    assert text.endswith(" s after the request came, waiting for component shout")
    assert answer(client, "next") == "NEXT+."


def test_one_request_more_than_it_may_hold_is_refused_at_once(server: Server, client: Client) -> None:
    async def overload() -> tuple[list[object], str]:
        held = asyncio.ensure_future(ask_at_once(server, ["sleep 2"] * 300, timeout_s=2))
        while requests_in_flight(server) < 300:
            await asyncio.sleep(0.1)
        refused = await asyncio.to_thread(failure, client, "one more")
        return await held, refused

    held, (status, text) = asyncio.run(overload())
    assert status == "StatusCode.UNAVAILABLE"
    assert text == "model relay: it holds 300 requests, its limit"
    assert all("the deadline passed" in str(each) for each in held if isinstance(each, Exception))
    assert answer(client, "next") == "NEXT+."
    eventually(lambda: requests_in_flight(server) == 0)
    assert metric(server, "corntriton_requests_total", outcome="refused") >= 1


def test_a_call_is_repeated_when_its_process_died(server: Server, client: Client, tmp_path: Path) -> None:
    order = f"die {tmp_path / 'dead'}"
    assert answer(client, order) == f"{order.upper()}+."
    eventually(lambda: metric(server, "corntriton_invocation_retries_total", component="shout") == 1)


def test_a_stream_is_repeated_when_its_process_died_before_it_said_anything(
    client: Client, tmp_path: Path
) -> None:
    order = f"die {tmp_path / 'dead'}"
    outputs = client.infer("relay", {"text": order}, ["answer"], STREAM)
    assert outputs["answer"].tolist() == [f"{order} ".encode()]


def test_a_call_that_must_not_be_repeated_fails_when_its_process_died(client: Client, tmp_path: Path) -> None:
    status, text = failure(client, f"die {tmp_path / 'dead'}", parameters={"way": "fragile"})
    assert status == "StatusCode.UNAVAILABLE"
    assert "component fragile: its process ended" in text
    eventually(lambda: answer(client, "next", parameters={"way": "fragile"}) == "NEXT")


def test_unary_requests_get_streams_joined(client: Client) -> None:
    outputs = client.infer("relay", {"text": "One two. Three."}, parameters=STREAM)
    assert outputs["answer"].tolist() == [b"One two. Three. "]
    assert outputs["speech"].tolist() == [len("One two."), len(" Three.")]


def test_streams_reach_the_client_piece_by_piece_over_grpc(client: Client) -> None:
    pieces = [*client.stream("relay_stream", {"text": "One two. Three."}, parameters=STREAM)]
    words = [piece["answer"][0].decode() for piece in pieces if "answer" in piece]
    assert words == ["One ", "two. ", "Three. "]
    spoken = [piece["speech"].tolist() for piece in pieces if "speech" in piece]
    assert spoken == [[len("One two.")], [len(" Three.")]]


def test_streams_reach_the_client_piece_by_piece_over_http(server: Server) -> None:
    events = generate_stream(server.http_url, "relay_stream", {"text": "One two.", "way": "stream"})
    assert [event["answer"] for event in events if "answer" in event] == ["One ", "two. "]


def test_a_client_of_generate_names_its_outputs_by_a_parameter(server: Server) -> None:
    fields = {"text": "One two.", "way": "stream", "outputs": "answer"}
    events = [*generate_stream(server.http_url, "relay_stream", fields)]
    assert [event["answer"] for event in events if "answer" in event] == ["One ", "two. "]
    assert not any("speech" in event for event in events)
    with pytest.raises(RuntimeError, match="the parameter outputs names song; there is answer"):
        [*generate_stream(server.http_url, "relay_stream", {**fields, "outputs": "song"})]


def test_many_streams_at_once_leave_the_orchestrator_alive(server: Server) -> None:
    def listen(clients_number: int) -> int:
        with Client(server.grpc_url, "grpc") as client:
            text = {"text": f"Client {clients_number}. Speaks."}
            return sum(len([*client.stream("relay_stream", text, parameters=STREAM)]) for _ in range(40))

    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(listen, range(8))] == [40 * 5] * 8


def test_what_does_not_stream_comes_whole_from_the_streaming_model_too(client: Client) -> None:
    assert [piece["answer"].tolist() for piece in client.stream("relay_stream", {"text": "a"})] == [[b"A+."]]


def test_a_stream_that_fails_says_so_after_what_it_said(client: Client) -> None:
    with pytest.raises(
        InferenceServerException, match="path stream, component talk: ValueError: told to fail"
    ):
        list(client.stream("relay_stream", {"text": "fail"}, parameters=STREAM))


def test_chunks_are_a_sequence_to_a_consumer_that_keeps_state(client: Client) -> None:
    assert answer(client, "one two three", parameters={"way": "tally"}) == "<123>"
    assert answer(client, "one", parameters={"way": "tally"}) == "<1>"


def test_a_stream_whose_client_leaves_ends_in_the_component_too(
    server: Server, client: Client, tmp_path: Path
) -> None:
    with Client(server.grpc_url, "grpc") as leaving:
        pieces = leaving.stream("relay_stream", {"text": f"note {tmp_path / 'left'}"}, parameters=STREAM)
        assert next(pieces)["answer"].tolist() == [b"on. "]
        pieces.close()
    eventually((tmp_path / "left").exists)
    eventually(
        lambda: (
            metric(server, "corntriton_requests_total", orchestrator="relay_stream", outcome="cancelled") == 1
        )
    )
    assert answer(client, "next") == "NEXT+."


def test_a_cancelled_unary_request_ends_in_the_component_too(server: Server, tmp_path: Path) -> None:
    with tritonclient.grpc.InferenceServerClient(server.grpc_url) as client:
        order = {"text": f"note {tmp_path / 'left'}"}
        call = client.async_infer(
            "relay", callback=lambda result, error: None, **make_request(tritonclient.grpc, order, (), STREAM)
        )
        eventually(lambda: requests_in_flight(server) == 1)
        call.cancel()
        eventually((tmp_path / "left").exists)
        eventually(
            lambda: (
                metric(server, "corntriton_requests_total", orchestrator="relay", outcome="cancelled") == 1
            )
        )


def test_metrics_count_requests_by_path_and_calls_by_component(server: Server, client: Client) -> None:
    def counts() -> np.ndarray:
        me = {"model": "relay", "orchestrator": "relay"}
        return np.array(
            [
                metric(server, "corntriton_requests_total", path="plain", outcome="ok", **me),
                metric(server, "corntriton_request_duration_seconds_bucket", path="plain", le="+Inf", **me),
                metric(server, "corntriton_request_duration_seconds_count", path="plain", **me),
                metric(server, "corntriton_requests_total", path="recorded", outcome="ok", **me),
                metric(server, "corntriton_recorded_paths_total", **me),
                metric(server, "corntriton_invocations_total", component="shout", outcome="ok", **me),
                metric(server, "corntriton_invocations_total", component="shout", outcome="error", **me),
            ]
        )

    eventually(lambda: requests_in_flight(server) == 0)
    time.sleep(1.1)  # what ended before has been reported by now
    before = counts()
    answer(client, "a", parameters={"way": "a new one"})
    answer(client, "a", parameters={"way": "a new one"})
    answer(client, "a")
    failure(client, "fail")
    eventually(lambda: (counts() - before).tolist() == [1, 1, 1, 2, 1, 3, 1])
