"""Three servers answer as one, wherever components are; and go on when one of them dies.

Each has ports and shared memory of its own, so that tensors cross between them as between machines. The
plan `three` of tests/repository/crossing.py says what is where.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from corntriton.repository.build import build
from corntriton.serving.client import make_request
from corntriton.serving.deployment import read_nodes
from corntriton.serving.fleet import Fleet
from corntriton.serving.launch import find_launcher
from corntriton.serving.traces import processes_of, traces_of
from tests.e2e.conftest import Watched
from tests.e2e.test_answers import KNOWN, UNSEEN, expected
from tests.repository.crossing import crossing_models, three
from tools.bench.arenas import Holdings, look_into

pytestmark = pytest.mark.server
NODES = ("n-0", "n-1", "n-2")
COMPOSE, TOGETHER = "tiny__compose", "tiny__compose__tell__voice"
# By tiny, tiny_stream and passing: n-1 has no component that passing would need.
CALLED = {"n-0": 2 + 2 + 1, "n-1": 2 + 2 + 2, "n-2": 2 + 2 + 1}
CALLS, IN_FLIGHT, UP = (
    "corntriton_invocations_total",
    "corntriton_invocations_in_flight",
    "corntriton_server_up",
)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Watched]]:
    models = crossing_models()
    folder = tmp_path_factory.mktemp("three") / "out"
    build(models, folder, plan=three(models))
    fleet = Fleet(read_nodes(folder), find_launcher(), exit_timeout_s=10)
    with fleet:
        found = {node: Watched(server) for node, server in fleet.servers.items()}
        await_all_up(found)
        yield found
        # Leases that orchestrators keep in advance go when no requests come.
        while any(arena.live_requests for each in found.values() for arena in arenas(each)):
            time.sleep(0.1)
    assert [traces_of(each.server.id) for each in found.values()] == [[], [], []]


@pytest.fixture(autouse=True)
def nothing_stays(servers: dict[str, Watched]) -> Iterator[None]:
    """After each test no server holds a tensor or a claim."""
    yield
    while any(holds(each) for each in servers.values()):  # pytest's timeout bounds it
        time.sleep(0.1)


def holds(server: Watched) -> bool:
    return any(each.held_bytes or each.claims for each in arenas(server))


def arenas(server: Watched) -> list[Holdings]:
    return look_into(Path(f"/dev/shm/{server.server.id}-tensors").glob("corntriton-arena-*"))


def await_all_up(servers: dict[str, Watched]) -> None:
    """Returns when all servers say of all others that they may be called."""
    for node, server in servers.items():
        while server.metric(UP) != CALLED[node]:  # told once a second
            time.sleep(0.1)


def ask(server: Watched, text: str) -> str:
    with server.connect("grpc") as client:
        return client.infer("tiny", {"text": text}, ["answer"])["answer"].item().decode()


@pytest.mark.parametrize("entry", NODES)
@pytest.mark.parametrize("sort", [*KNOWN, *UNSEEN])
def test_each_request_type_is_answered_whichever_server_it_enters(
    servers: dict[str, Watched], entry: str, sort: str
) -> None:
    inputs, outputs, parameters, answer = (KNOWN | UNSEEN)[sort]
    for protocol in ("grpc", "http"):
        with servers[entry].connect(protocol) as client:
            got = client.infer("tiny", inputs, outputs, parameters)
            assert {name: array.tolist() for name, array in got.items()} == expected(answer, outputs)


@pytest.mark.parametrize("entry", NODES)
def test_streams_come_in_pieces_over_servers(servers: dict[str, Watched], entry: str) -> None:
    inputs, outputs, parameters, answer = UNSEEN["everything"]
    with servers[entry].connect("grpc") as client:
        for _ in range(4):  # so that every route is taken
            pieces = list(client.stream("tiny_stream", inputs, outputs, parameters))
            for name, whole in expected(answer, outputs).items():
                joined = np.concatenate([piece[name] for piece in pieces if name in piece]).tolist()
                assert ([b"".join(joined)] if name == "story" else joined) == whole
            assert sum("story" in piece for piece in pieces) > 3
            assert sum("speech" in piece for piece in pieces) == 3


@pytest.mark.parametrize("entry", NODES)
@pytest.mark.parametrize("nbytes", [1, 3_000_001])
def test_tensors_of_any_size_cross_between_servers(
    servers: dict[str, Watched], entry: str, nbytes: int
) -> None:
    data = np.random.default_rng(nbytes).integers(0, 256, (nbytes, 1, 3), np.uint8)
    with servers[entry].connect("grpc") as client:
        assert client.infer("passing", {"size": np.array([nbytes])}, ["total"])["total"].item() == nbytes
        got = client.infer("passing", {"image": data[: nbytes // 3 + 1]}, ["image"])["image"]
        assert np.array_equal(got, 255 - data[: nbytes // 3 + 1])
        lines = np.array([b"abc", b"", b"x" * nbytes], object)
        assert client.infer("passing", {"lines": lines}, ["lines"])["lines"].tolist() == lines.tolist()


def test_many_requests_at_once_get_their_own_answers(servers: dict[str, Watched]) -> None:
    def one(number: int) -> str:
        return ask(servers[NODES[number % 3]], f"number {number}")

    with ThreadPoolExecutor(24) as pool:
        assert [*pool.map(one, range(120))] == [f"number {number}" for number in range(120)]


def test_routes_carry_their_shares_whichever_servers_requests_enter(servers: dict[str, Watched]) -> None:
    def composed() -> dict[str, float]:
        calls = {node: 0.0 for node in ("n-0", "n-1")}
        for each in servers.values():
            for node, name in (("n-0", COMPOSE), ("n-1", TOGETHER)):
                for target in (name, f"{name}@{node}"):
                    calls[node] += each.metric(CALLS, target=target, outcome="ok", orchestrator="tiny")
        return calls

    before, earlier = composed(), None
    while before != earlier:  # until what other tests have asked is told: once a second
        time.sleep(1.2)
        before, earlier = composed(), before
    with ThreadPoolExecutor(12) as pool:
        [*pool.map(lambda number: ask(servers[NODES[number % 3]], "hm"), range(150))]
    while sum(composed().values()) - sum(before.values()) < 150:  # told once a second
        time.sleep(0.1)
    share = (composed()["n-0"] - before["n-0"]) / 150
    assert 0.3 < share < 0.7  # half; five standard deviations


def test_a_component_that_fails_on_another_server_is_named(servers: dict[str, Watched]) -> None:
    for entry in NODES:
        with servers[entry].connect("grpc") as client:
            for _ in range(3):
                with pytest.raises(InferenceServerException) as caught:
                    client.infer("tiny", {"text": b"\xff"}, ["answer"])
                assert "component compose: UnicodeDecodeError: " in caught.value.message()


def test_a_client_that_leaves_ends_what_its_request_holds_on_other_servers(
    servers: dict[str, Watched],
) -> None:
    request = make_request(tritonclient.grpc, {"image": np.ones((900, 900, 3), np.uint8)}, ["image"])
    [worker] = servers["n-2"].workers("passing__invert")
    os.kill(worker, signal.SIGSTOP)
    try:
        with servers["n-0"].connect("grpc") as client:
            call = client.triton.async_infer("passing", callback=lambda **_: None, **request)
            while not any(each.held_bytes for each in arenas(servers["n-2"])):  # what was brought
                time.sleep(0.02)
            call.cancel()
            while holds(servers["n-2"]):
                time.sleep(0.02)
    finally:
        os.kill(worker, signal.SIGCONT)


def test_the_deadline_of_a_request_holds_on_other_servers(servers: dict[str, Watched]) -> None:
    [worker] = servers["n-2"].workers("passing__count")
    os.kill(worker, signal.SIGSTOP)
    try:
        with servers["n-0"].connect("grpc") as client, pytest.raises(InferenceServerException) as caught:
            client.infer("passing", {"size": np.array([500_000])}, ["total"], timeout_s=0.3)
        assert "deadline" in caught.value.message()
    finally:
        os.kill(worker, signal.SIGCONT)


def test_requests_of_a_server_that_dies_are_answered_by_others_until_it_is_back(
    servers: dict[str, Watched],
) -> None:
    dying = servers["n-1"]
    alive = [servers["n-0"], servers["n-2"]]
    [worker] = dying.workers(TOGETHER)
    os.kill(worker, signal.SIGSTOP)
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(ask, alive[number % 2], f"number {number}") for number in range(20)]
        while not any(each.metric(IN_FLIGHT, target=f"{TOGETHER}@n-1") for each in alive):
            time.sleep(0.1)
        kill(dying)
        assert [each.result() for each in asked] == [f"number {number}" for number in range(20)]
    assert [ask(each, "alone") for each in alive * 5] == ["alone"] * 10
    with pytest.raises(InferenceServerException), dying.connect("grpc") as client:
        client.infer("tiny", {"text": "gone"}, ["answer"])
    dying.server.stop()
    dying.server.start()
    await_all_up(servers)
    # What enters at n-0 stays there, as far as the shares of the routes allow.
    before = servers["n-2"].metric(CALLS, target=f"{TOGETHER}@n-1", outcome="ok")
    while servers["n-2"].metric(CALLS, target=f"{TOGETHER}@n-1", outcome="ok") == before:
        assert ask(servers["n-2"], "together again") == "together again"


def kill(server: Watched) -> None:
    """Ends its tritonserver, as a crash would."""
    for pid in processes_of(server.server.id):
        with contextlib.suppress(FileNotFoundError):  # it may end while we look
            if os.readlink(f"/proc/{pid}/exe").endswith("/tritonserver"):
                os.kill(pid, signal.SIGKILL)
                return
    raise AssertionError("it does not run")
