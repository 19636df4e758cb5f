"""Servers that go away while they work for requests: three real ones, two of which are of one role."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tritonclient.utils import InferenceServerException

from corntriton.planner.plan import Place, Plan, Stop
from corntriton.repository.build import build
from corntriton.serving.deployment import read_nodes
from corntriton.serving.fleet import Fleet
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server
from corntriton.serving.traces import traces_of
from corntriton.spec.load import LoadedModel, load_models
from tests.e2e.conftest import Watched
from tests.repository.hand_plans import executor, hand_plan
from tests.runtime.remote.conftest import eventually

pytestmark = pytest.mark.server
RELAY = Path(__file__).parents[1] / "relay"
TWINS = ("n-1", "n-2")


class Trio:
    """The server that clients ask, and two that its components are on."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.front = Watched(fleet.servers["n-0"])

    def ask(self, text: str, way: str = "plain") -> str:
        with self.front.connect("grpc") as client:
            outputs = client.infer("relay", {"text": text}, ["answer"], {"way": way}, 25)
            return outputs["answer"][0].decode()

    @property
    def n_up(self) -> float:
        return self.front.metric("corntriton_server_up", orchestrator="relay")

    def kill(self, node: str) -> None:
        [process] = self.processes(node, "bin/tritonserver --id")
        os.kill(process, signal.SIGKILL)

    def processes(self, node: str, command: str = "") -> list[int]:
        """Of a server, those with this in their command lines."""
        lines = [line for line in traces_of(self.fleet.servers[node].id) if line.startswith("process")]
        return [int(line.split()[1][:-1]) for line in lines if command in line]

    def restart(self, node: str) -> None:
        server: Server = self.fleet.servers[node]
        server.stop()
        server.start()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("relay") / "built"
    models = load_models([RELAY])
    build(models, folder, plan=_twins(models))
    with Fleet(read_nodes(folder), find_launcher(), exit_timeout_s=10) as fleet:
        yield fleet


@pytest.fixture
def trio(fleet: Fleet) -> Iterator[Trio]:
    """With all servers up, before and after."""
    trio = Trio(fleet)
    yield trio
    for node in TWINS:
        if not trio.processes(node, "bin/tritonserver --id"):
            trio.restart(node)
    eventually(lambda: trio.n_up == 2)


def _twins(models: list[LoadedModel]) -> Plan:
    names = [f"relay/{name}" for name in models[0].spec.components]
    merge, others = "relay/merge", [name for name in names if name != "relay/merge"]
    executors = [
        executor(merge, [merge], [Place("n-0", (0,))]),
        *(executor(name, [name], [Place(node, (0,)) for node in TWINS]) for name in others),
    ]
    ways = [(0.5, {merge: merge, **{name: Stop(name, node) for name in others}}) for node in TWINS]
    return hand_plan(models, executors, ways)


def outcome(asked: Future[Any]) -> str:
    try:
        return str(asked.result())
    except InferenceServerException as error:
        return f"{error.status()} {error.message()}"


def at_once(trio: Trio, way: str, component: str, lose: Callable[[], None]) -> list[str]:
    """What becomes of two requests, one on each of the twins, when something happens to one of these."""
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(trio.ask, "sleep 3", way) for _ in range(2)]
        trio.front.await_metric("corntriton_invocations_in_flight", 2, component=component)
        lose()
        return [outcome(one) for one in asked]


def test_what_a_killed_server_worked_on_is_begun_anew_on_another(trio: Trio) -> None:
    before = trio.front.metric("corntriton_replays_total")
    assert at_once(trio, "plain", "shout", lambda: trio.kill("n-1")) == ["SLEEP 3+."] * 2
    trio.front.await_metric("corntriton_replays_total", before + 1)
    trio.front.await_metric("corntriton_server_up", 1, orchestrator="relay")
    assert trio.ask("next") == "NEXT+."


def test_what_must_not_be_repeated_fails(trio: Trio) -> None:
    answers = sorted(at_once(trio, "fragile", "fragile", lambda: trio.kill("n-2")))
    assert answers[0] == "SLEEP 3"
    assert answers[1].startswith("StatusCode.UNAVAILABLE model relay, path recorded-")
    assert ", component fragile: server 127.0.0.1:" in answers[1]
    assert " was lost: " in answers[1]


def test_a_stream_that_has_begun_is_not_begun_anew(trio: Trio, tmp_path: Path) -> None:
    with trio.front.connect("grpc") as one, trio.front.connect("grpc") as other:
        streams = [
            client.stream("relay_stream", {"text": f"note {tmp_path / name}"}, ["answer"], {"way": "stream"})
            for name, client in (("one", one), ("other", other))
        ]
        assert [next(stream)["answer"].tolist() for stream in streams] == [[b"on. "]] * 2
        trio.kill("n-1")
        with pytest.raises(InferenceServerException, match=r"component (talk|speak): server .* was lost: "):
            for _ in zip(*streams, strict=True):
                pass
        for stream in streams:
            stream.close()
    # The one that lives has noticed that nobody listens; the other one may have before it was gone, too.
    eventually(lambda: [*tmp_path.iterdir()])


def test_a_server_that_hangs_is_as_good_as_lost(trio: Trio) -> None:
    hung = trio.processes("n-1")

    def hang() -> None:
        for process in hung:
            os.kill(process, signal.SIGSTOP)

    try:
        assert at_once(trio, "plain", "shout", hang) == ["SLEEP 3+."] * 2
    finally:
        for process in hung:
            os.kill(process, signal.SIGCONT)


def test_without_any_server_requests_are_refused_at_once_until_one_is_back(trio: Trio) -> None:
    for node in TWINS:
        trio.kill(node)
    trio.front.await_metric("corntriton_server_up", 0, orchestrator="relay")
    begin_s = time.monotonic()
    with pytest.raises(InferenceServerException) as caught:
        trio.ask("a")
    assert time.monotonic() - begin_s < 20
    assert caught.value.status() == "StatusCode.UNAVAILABLE"
    assert caught.value.message().startswith("model relay: no server of the role n-1 is up: 127.0.0.1:")
    assert trio.ask("as it is", "echo") == "as it is"
    trio.restart("n-2")
    trio.front.await_metric("corntriton_server_up", 1, orchestrator="relay")
    assert trio.ask("a") == "A+."
