"""One model under three plans, a monolith, a full disaggregation and a mixture, gives the same answers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from corntriton.planner.plan import Plan
from corntriton.repository.build import build
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server
from corntriton.serving.traces import traces_of
from corntriton.spec.load import LoadedModel, load_models
from tests.e2e.conftest import MODELS, Watched
from tests.e2e.test_answers import KNOWN, UNSEEN, expected
from tests.repository.hand_plans import executor, hand_plan

pytestmark = pytest.mark.server
ALL = [f"tiny/{name}" for name in ("listen", "caption", "compose", "shout", "tell", "voice")]
MONOLITH = "tiny__listen__caption__compose__shout__tell__voice"
TEXT = "tiny__listen__compose__shout__tell"
INVOCATIONS = "corntriton_invocations_total"


def monolith(models: list[LoadedModel]) -> Plan:
    return hand_plan(models, [executor("all@cpu", ALL, 2)], [(1, dict.fromkeys(ALL, "all@cpu"))])


def disaggregated(models: list[LoadedModel]) -> Plan:
    counts = {"tiny/caption": 2, "tiny/compose": 2}
    apart = [executor(name, [name], counts.get(name, 1)) for name in ALL]
    return hand_plan(models, apart, [(1, {name: name for name in ALL})])


def mixed(models: list[LoadedModel]) -> Plan:
    """A monolith, also for requests whose images are captioned elsewhere, beside a model in three parts."""
    text = [name for name in ALL if name not in ("tiny/caption", "tiny/voice")]
    executors = [
        executor("all@cpu", ALL),
        executor("text@cpu", text),
        executor("caption@cpu", ["tiny/caption"]),
        executor("voice@cpu", ["tiny/voice"]),
    ]
    whole = dict.fromkeys(ALL, "all@cpu")
    parts = dict.fromkeys(ALL, "text@cpu") | {"tiny/caption": "caption@cpu", "tiny/voice": "voice@cpu"}
    return hand_plan(
        models, executors, [(0.4, whole), (0.3, {**whole, "tiny/caption": "caption@cpu"}), (0.3, parts)]
    )


@pytest.fixture(scope="module", params=[monolith, disaggregated, mixed], ids=lambda make: make.__name__)
def tiny(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    models = load_models([MODELS / "tiny"])
    folder = tmp_path_factory.mktemp("planned") / "out"
    build(models, folder, plan=request.param(models))
    with Server(read_deployment(folder), find_launcher(), exit_timeout_s=10) as server:
        yield Watched(server)
    assert traces_of(server.id) == []


@pytest.mark.parametrize("sort", [*KNOWN, *UNSEEN])
def test_each_request_type_is_answered_as_without_a_plan(tiny: Watched, sort: str) -> None:
    inputs, outputs, parameters, answer = (KNOWN | UNSEEN)[sort]
    with tiny.connect("grpc") as client:
        for _ in range(8):  # so that every route is taken
            got = client.infer("tiny", inputs, outputs, parameters)
            assert {name: array.tolist() for name, array in got.items()} == expected(answer, outputs)


@pytest.mark.parametrize("sort", [*KNOWN, "everything"])
def test_streams_come_in_pieces_wherever_their_components_are(tiny: Watched, sort: str) -> None:
    inputs, outputs, parameters, answer = (KNOWN | UNSEEN)[sort]
    with tiny.connect("grpc") as client:
        for _ in range(4):
            pieces = list(client.stream("tiny_stream", inputs, outputs, parameters))
            for name, whole in expected(answer, outputs).items():
                joined = np.concatenate([piece[name] for piece in pieces if name in piece]).tolist()
                assert ([b"".join(joined)] if name == "story" else joined) == whole
            if "speech" in outputs:
                assert sum("story" in piece for piece in pieces) > 3
                assert sum("speech" in piece for piece in pieces) == 3


def test_many_requests_at_once_get_their_own_answers(tiny: Watched) -> None:
    def ask(number: int) -> str:
        with tiny.connect("http") as client:
            inputs = {"text": f"number {number}", "images": [b"." * number]}
            return client.infer("tiny", inputs, ["answer"])["answer"].item().decode()

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(ask, range(96)))
    assert answers == [f"number {number} and {number} bytes" for number in range(96)]


def test_a_component_that_fails_is_named_wherever_it_is(tiny: Watched) -> None:
    with tiny.connect("grpc") as client:
        for _ in range(4):
            with pytest.raises(InferenceServerException) as caught:
                client.infer("tiny", {"text": b"\xff"}, ["answer"])
            assert caught.value.message().startswith(
                "model tiny, path text_to_text, component compose: UnicodeDecodeError: "
            )


@pytest.mark.parametrize("tiny", [monolith], indirect=True)
def test_a_killed_executor_is_replaced_and_its_requests_are_answered(tiny: Watched) -> None:
    before = tiny.workers(MONOLITH)
    assert len(before) == 2  # instances
    with ThreadPoolExecutor(16) as pool, tiny.connect("grpc"):
        for worker in before:
            os.kill(worker, signal.SIGSTOP)
        asked = [pool.submit(_compose, tiny, number) for number in range(16)]
        tiny.await_metric("corntriton_invocations_in_flight", 16, orchestrator="tiny")
        os.kill(before[0], signal.SIGKILL)
        os.kill(before[1], signal.SIGCONT)
        assert [each.result() for each in asked] == [f"number {number}" for number in range(16)]
    after = tiny.workers(MONOLITH)
    assert (before[0] in after, before[1] in after, len(after)) == (False, True, 2)
    while not tiny.metric("corntriton_invocation_retries_total", target=MONOLITH):  # told once a second
        time.sleep(0.1)


def _compose(tiny: Watched, number: int) -> str:
    with tiny.connect("grpc") as client:
        return client.infer("tiny", {"text": f"number {number}"}, ["answer"])["answer"].item().decode()


@pytest.mark.parametrize("tiny", [mixed], indirect=True)
def test_every_route_carries_traffic(tiny: Watched) -> None:
    with tiny.connect("grpc") as client:
        for sort in [*KNOWN] * 8:
            inputs, outputs, parameters, _ = KNOWN[sort]
            client.infer("tiny", inputs, outputs, parameters)
    for target in (MONOLITH, TEXT, "tiny__caption", "tiny__voice"):
        while not tiny.metric(INVOCATIONS, target=target, outcome="ok"):  # told once a second
            time.sleep(0.1)
