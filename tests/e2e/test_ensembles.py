"""Compiled paths on the real server: what the orchestrator calls, and what clients may call, answer alike."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tritonclient.utils import InferenceServerException

from corntriton.repository import obstacles
from corntriton.repository.build import build
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server
from corntriton.serving.traces import traces_of
from corntriton.spec.load import load_models
from tests.e2e.conftest import MODELS, Watched

pytestmark = pytest.mark.server
WORDS = [b"one", b"three"]
# Parameters of the request, and inputs beside the sound, by request type.
TYPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "scaled": ({"times": 3}, {}),
    "halved": ({"half": True}, {}),
    "counted": ({}, {"words": WORDS}),
}
PUBLIC = ["plain", "halved", "counted"]
LENGTHS = [0, 3, 5, 100_000]  # the last by ref, and over the bridge


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("braid")
    shutil.copytree(MODELS / "braid", place / "braid")
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["length"]) for name in ("x", "y")]
    half = helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5])
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "half"], ["y"])], "half", ports[:1], ports[1:], [half]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(place / "braid" / "half.onnx"))
    with pytest.MonkeyPatch.context() as patched:
        # As for newer servers: this one loses branches that fail, and none does here.
        patched.setattr(obstacles, "_is_parallel", lambda way: iter(()))
        build(load_models([place / "braid"]), place / "out")
    return place / "out"


@pytest.fixture(scope="module")
def braid(folder: Path) -> Iterator[Watched]:
    with Server(read_deployment(folder), find_launcher(), exit_timeout_s=10) as server:
        yield Watched(server)
    assert traces_of(server.id) == []


def sound(length: int) -> np.ndarray[Any, Any]:
    return np.arange(length, dtype=np.float32)


def expected(sort: str, pcm: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    low = pcm + 1
    soft = low / (8 if sort == "halved" else 4) * 2
    made = low * (3 if sort == "scaled" else 2) + soft + (4 if len(pcm) > 4 else 0)
    answer = {"sound": made, "total": made.sum(keepdims=True)}
    return {**answer, "count": np.array([8])} if sort == "counted" else answer


def check(got: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert set(got) == set(wanted)
    for name, array in wanted.items():
        np.testing.assert_allclose(got[name], array, rtol=1e-5)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("sort", TYPES)
def test_the_orchestrator_makes_one_call_of_a_compiled_path(braid: Watched, sort: str, protocol: str) -> None:
    parameters, inputs = TYPES[sort]
    target = {"target": f"braid__{sort}__path", "outcome": "ok"}
    before = braid.metric("corntriton_invocations_total", **target)
    with braid.connect(protocol) as client:
        for length in LENGTHS:
            wanted = expected(sort, sound(length))
            check(client.infer("braid", {"pcm": sound(length), **inputs}, [*wanted], parameters), wanted)
    braid.await_metric("corntriton_invocations_total", before + len(LENGTHS), **target)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("sort", PUBLIC)
def test_a_public_ensemble_answers_as_the_orchestrator_does(braid: Watched, sort: str, protocol: str) -> None:
    parameters, inputs = TYPES[sort]
    with braid.connect(protocol) as client:
        for length in LENGTHS:
            wanted = expected(sort, sound(length))
            rows = {name: np.array([[word] for word in value])[None] for name, value in inputs.items()}
            got = client.infer(f"braid.{sort}", {"pcm": sound(length)[None], **_objects(rows)})
            check({name: array[0] for name, array in got.items()}, wanted)
            check(client.infer("braid", {"pcm": sound(length), **inputs}, [*wanted], parameters), wanted)


def _objects(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: array.astype(object) for name, array in arrays.items()}


def test_a_public_ensemble_takes_batches_and_gives_the_outputs_that_are_asked_for(braid: Watched) -> None:
    with braid.connect("grpc") as client:
        got = client.infer("braid.plain", {"pcm": np.stack([sound(9), sound(9) * 2])}, ["total"])
        with pytest.raises(InferenceServerException, match="batch-size must be <= 2"):
            client.infer("braid.plain", {"pcm": np.zeros((3, 9), np.float32)})
    totals = [expected("plain", sound(9) * times)["total"] for times in (1, 2)]
    check(got, {"total": np.stack(totals)})


def test_a_path_with_constants_of_the_flow_is_not_for_clients(braid: Watched) -> None:
    with braid.connect("grpc") as client:
        assert client.triton.is_model_ready("braid__scaled__path")
        assert not client.triton.is_model_ready("braid.scaled")


@pytest.mark.parametrize("ref", [bytes(192), bytes(range(192))])
def test_nobody_but_the_orchestrator_can_call_what_passes_refs(braid: Watched, ref: bytes) -> None:
    forged = np.frombuffer(ref, np.uint8)[None]
    with (
        braid.connect("grpc") as client,
        pytest.raises(InferenceServerException, match="INVALID_ARGUMENT"),
    ):
        client.infer("braid__plain__path", {"pcm__ref": forged})


def test_what_a_compiled_path_lost_with_a_process_is_computed_again(braid: Watched) -> None:
    [worker] = braid.workers("braid__join")
    os.kill(worker, signal.SIGKILL)
    wanted = expected("plain", sound(7))
    with braid.connect("grpc") as client:
        check(client.infer("braid", {"pcm": sound(7)}, [*wanted]), wanted)


def test_the_manifest_tells_how_each_tensor_passes(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    found = {each["request_type"]: each for each in manifest["paths"]}
    [route] = found["plain"]["routes"]
    passes = {f"{edge['producer']} {edge['consumer']}": edge["transport"] for edge in route["edges"]}
    assert passes == {
        "request.pcm split.pcm": "ref, written by the orchestrator",
        "split.low louder.x": "ref",
        "split.low softer.x": "inline",
        "louder.y join.a": "ref",
        "softer.y louder.2.x": "inline",
        "louder.2.y join.b": "ref",
        "split.label join.note": "inline",
        "join.sound response.sound": "ref, read by the orchestrator",
        "join.total response.total": "inline",
    }
    assert (found["scaled"]["public"], found["scaled"]["not_public"]["rule"]) == (None, "constant")
    assert (
        "braid/scaled is no ensemble for clients: louder.times is a constant of the flow, 3"
        in manifest["notes"]
    )
