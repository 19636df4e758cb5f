"""Tensors in the memory of GPUs on the real server: its components' processes have a simulated driver.

The server has no GPU, and refuses instances on one. So they are built for GPUs, and then Triton is told that
they are on the CPU, and their processes that they have a GPU. All else is as a user would have it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from corntriton.repository.build import build
from corntriton.runtime.shm.ref import HOST, Ref
from corntriton.serving.client import make_request
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.lifetime import ServerError
from corntriton.serving.server import Server
from corntriton.serving.traces import traces_of
from corntriton.spec.load import load_models
from tests.e2e import forger
from tests.e2e.conftest import MODELS, Watched
from tests.runtime.cuda import outside, simulated

pytestmark = pytest.mark.server
MB = 2**20
GPU_PARTS = ("fill", "triple", "total", "gather")
# One is compiled to an ensemble; of the other nobody knew at build time, and it is replayed step by step.
CHAINS = ["chain", "chain, step by step"]
SMALL_WORK = {"SCRATCH_BYTES": "4096", "SCRATCH_FILLS": "10"}
ANSWER = ("total", "seen")
FORGERIES: list[dict[str, Any]] = [
    {"nonce": (1, 2)},
    {"generation": 99},
    {"slot": 3},
    {"offset": 1024},
    {"device": HOST},
    {"device": 5},
    {"shape": (999,), "nbytes": 999},
    {"dtype": "INT8"},
]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated.build(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("devices") / "devices"
    shutil.copytree(MODELS / "devices", folder)
    shutil.copyfile(outside.__file__, folder / "outside.py")
    return folder


@dataclass(frozen=True)
class Rig:
    """A server of the model."""

    watched: Watched

    @property
    def id(self) -> str:
        return self.watched.server.id

    def ask(
        self, way: str, size: int, *outputs: str, protocol: str = "grpc", **inputs: Any
    ) -> dict[str, Any]:
        with self.watched.connect(protocol) as client:
            given = {"size": np.array([size]), **inputs}
            answer: dict[str, Any] = client.infer("devices", given, [*outputs], {"way": way})
        return {name: array.item() if array.size == 1 else array for name, array in answer.items()}


Start = Callable[..., AbstractContextManager[Rig]]


@pytest.fixture(scope="module")
def start(model: Path, driver: Path, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Starts a server; takes devices by component, and what one's process alone has in its environment."""

    @contextmanager
    def begin(
        devices: Mapping[str, str] | None = None,
        environments: Mapping[str, Mapping[str, str]] | None = None,
        **environment: str,
    ) -> Iterator[Rig]:
        folder = tmp_path_factory.mktemp("build") / "out"
        build(load_models([model]), folder, backends="ngc")
        for name in GPU_PARTS:
            own = (environments or {}).get(name, {})
            put_on(folder / "model_repository" / f"devices__{name}", (devices or {}).get(name, "cuda:0"), own)
        with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="test-simulated-cuda-") as directory:
            variables = {**simulated.environment_of_server(driver, Path(directory)), **SMALL_WORK}
            launcher = find_launcher()
            launcher = replace(launcher, environment={**launcher.environment, **variables, **environment})
            with Server(read_deployment(folder), launcher, exit_timeout_s=10) as server:
                yield Rig(Watched(server))
                arenas = [region.file for region in forger.regions(server.id)]
        assert traces_of(server.id) == []
        assert arenas
        assert all(arena.unlinked for arena in arenas)

    return begin


def put_on(model: Path, device: str, environment: Mapping[str, str]) -> None:
    """Has a component compute on a GPU that Triton knows nothing of."""
    config = (model / "config.pbtxt").read_text()
    assert "kind: KIND_GPU" in config
    (model / "config.pbtxt").write_text(config.replace("kind: KIND_GPU", "kind: KIND_CPU"))
    file = model / "1" / "component.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps({**settings, "device": device, "settings": {"environment": environment}}))


@pytest.fixture(scope="module")
def rig(start: Start) -> Iterator[Rig]:
    with start() as rig:
        yield rig


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("way", CHAINS)
def test_tensors_stay_on_the_gpu_from_component_to_component(rig: Rig, way: str, protocol: str) -> None:
    for size in (0, 1, 3, 70_000, MB):
        assert rig.ask(way, size, *ANSWER, protocol=protocol) == right(size)
    assert any(ref.device != HOST for ref in refs(rig))


def right(size: int, seen: bytes = b"DeviceTensor") -> dict[str, Any]:
    return {"total": 21 * size, "seen": seen}


def refs(rig: Rig) -> list[Ref]:
    """Of the tensors in all arenas, of ended requests too."""
    return [Ref.unpack(ref) for region in forger.regions(rig.id) for ref in forger.refs_in(region)]


@pytest.mark.parametrize("way", ["both", "both, step by step"])
def test_a_tensor_is_read_on_the_gpu_and_on_the_host(rig: Rig, way: str) -> None:
    for size in (0, 9, 100_000):
        answer = rig.ask(way, size, *ANSWER, "peeked")
        assert answer == {"total": 28 * size, "seen": b"DeviceTensor DeviceTensor", "peeked": 7 * size}


def test_clients_get_what_other_components_read_on_the_gpu(rig: Rig) -> None:
    answer = rig.ask("chain", 1000, "total", "data")
    assert (answer["total"], set(answer["data"]), len(answer["data"])) == (21_000, {21}, 1000)


def test_clients_may_call_such_components_themselves_with_plain_tensors(rig: Rig) -> None:
    with rig.watched.connect("grpc") as client:
        answer = client.infer("devices__triple", {"x": np.arange(9, dtype=np.uint8)[None]}, ["y"])
    assert answer["y"].tolist() == [[*range(0, 27, 3)]]


@pytest.mark.parametrize("way", CHAINS)
def test_the_memory_is_all_there_again_when_requests_have_ended(rig: Rig, way: str) -> None:
    for size in np.random.default_rng(1).integers(1, 8 * MB, 20).tolist():
        assert rig.ask(way, size, *ANSWER) == right(size)
    with ThreadPoolExecutor(8) as pool:
        sizes = [MB + number for number in range(24)]
        answers = [*pool.map(lambda size: rig.ask(way, size, *ANSWER), sizes)]
    assert answers == [right(size) for size in sizes]
    assert rig.ask(way, 8 * MB, *ANSWER) == right(8 * MB)  # takes all of each arena


def test_a_tensor_larger_than_the_arena_fails_and_says_what_to_change(rig: Rig) -> None:
    fix = r"component fill: .*larger than its arena may be, 8388608; To fix: .*arena.device_max_bytes"
    for way in CHAINS:
        with pytest.raises(InferenceServerException, match=fix):
            rig.ask(way, 8 * MB + 1, *ANSWER)
        assert rig.ask(way, 5, *ANSWER) == right(5)


@pytest.mark.parametrize("way", ["kill", "kill, step by step"])
def test_what_lay_with_a_process_that_died_is_made_again(rig: Rig, way: str, tmp_path: Path) -> None:
    """The consumer kills the producer after it was given the tensor, and goes on with what it sees."""
    [before] = rig.watched.workers("devices__fill")
    assert rig.ask(way, 1000, *ANSWER, note=str(tmp_path / "killed")) == right(1000)
    assert (tmp_path / "killed").exists()
    assert rig.watched.workers("devices__fill") != [before]


def test_made_up_refs_to_the_gpu_and_those_of_other_places_are_refused(rig: Rig) -> None:
    with held(rig) as (packed, owner):
        ref = Ref.unpack(packed)
        assert ref.device != HOST
        forged = [ref._replace(**change).pack() for change in FORGERIES]
        for bad in [*forged, bytes(192), packed[96:] + packed[:96]]:
            for part in ("total", "gather"):
                assert "INVALID_ARGUMENT" in refusal(rig, part, bad, owner)
        assert "which is unknown here" in refusal(rig, "peek", packed, owner)
        assert "nobody who could own it" in refusal(rig, "total", packed, None)
    assert rig.ask("chain", 1000, *ANSWER) == right(1000)


@contextmanager
def held(rig: Rig) -> Iterator[tuple[bytes, str]]:
    """A live request: the ref of the tensor on the GPU that it waits over, and its owner's credential."""
    with rig.watched.connect("grpc") as client:
        content = {"size": np.array([1000]), "note": "hold"}
        request = make_request(tritonclient.grpc, content, ["total"], {"way": "hold"})
        with rig.watched.logging("triple holds"):
            call = client.triton.async_infer("devices", callback=lambda result, error: None, **request)
        regions = forger.regions(rig.id)
        [owner] = [each for region in regions for each in forger.owners_in(region)]
        on_device = [ref for ref in refs(rig) if ref.device != HOST]
        yield max(on_device, key=lambda ref: ref.generation).pack(), owner
        call.cancel()
        while any(forger.owners_in(region) for region in regions):  # pytest's timeout bounds it
            time.sleep(0.01)


def refusal(rig: Rig, part: str, packed: bytes, owner: str | None) -> str:
    row = np.frombuffer(packed, np.uint8)[None]
    inputs = {"xs__ref": row[None]} if part == "gather" else {"x__ref": row}
    parameters = {} if owner is None else {"corntriton_owner": owner}
    with rig.watched.connect("grpc") as client, pytest.raises(InferenceServerException) as caught:
        client.infer(f"devices__{part}", inputs, ["total"], parameters)
    return str(caught.value)


@pytest.mark.parametrize("function", ["cuIpcGetMemHandle", "cuIpcGetEventHandle"])
def test_where_the_driver_shares_nothing_tensors_pass_by_the_host(start: Start, function: str) -> None:
    with start(SIMULATED_CUDA_FAIL=f"{function}=801") as rig:
        for way in CHAINS:
            assert rig.ask(way, 100_000, *ANSWER) == right(100_000)
        assert {ref.device for ref in refs(rig)} == {HOST}


@pytest.mark.parametrize(
    ("way", "devices", "environments", "variables"),
    [
        ("chain", {"triple": "cuda:1"}, {}, {"SIMULATED_CUDA_PEERS": "0"}),
        ("chain, step by step", {}, {"triple": {"SIMULATED_CUDA_FAIL": "cuIpcOpenMemHandle=801"}}, {}),
    ],
)
def test_a_component_that_cannot_reach_the_memory_gets_tensors_by_the_host_after_a_repetition(
    start: Start, way: str, devices: Any, environments: Any, variables: Any
) -> None:
    with start(devices, environments, **variables) as rig:
        for size in (5, 1000, 100_000):
            assert rig.ask(way, size, *ANSWER) == right(size)
        # From cuda:0 to cuda:1 and from there back; or over the one handle that is refused.
        rig.watched.await_metric("corntriton_invocation_retries_total", 2 if devices else 1)


def test_components_on_two_gpus_that_reach_each_other_share_tensors(start: Start) -> None:
    with start({"triple": "cuda:1"}) as rig:
        for way in CHAINS:
            assert rig.ask(way, 100_000, *ANSWER) == right(100_000)
        assert len({ref.device for ref in refs(rig)} - {HOST}) == 2
        assert rig.watched.metric("corntriton_invocation_retries_total") == 0


def test_a_component_does_not_load_on_a_gpu_that_is_not_there(start: Start) -> None:
    refused = pytest.raises(ServerError, match="there is no device cuda:7, but 2 of CUDA")
    with refused, start({"total": "cuda:7"}):
        pass


def test_a_component_does_not_load_where_its_arena_has_no_room(start: Start) -> None:
    refused = pytest.raises(ServerError, match=r"no room for an arena .*To fix: lower arena.device_max_bytes")
    with refused, start(SIMULATED_CUDA_BYTES=str(20 * MB)):
        pass


def test_without_a_gpu_the_same_components_compute_on_the_host(model: Path, tmp_path: Path) -> None:
    manifest = build(load_models([model]), tmp_path / "out")
    edges = [edge for each in manifest.paths for way in each.routes for edge in way.edges]
    assert "device ref" not in {edge.transport for edge in edges}
    with Server(read_deployment(tmp_path / "out"), find_launcher(), exit_timeout_s=10) as server:
        rig = Rig(Watched(server))
        for way in CHAINS:
            for size in (0, 5, 100_000, 8 * MB + 1):
                assert rig.ask(way, size, *ANSWER) == right(size, b"HostTensor")
    assert traces_of(server.id) == []


def test_the_manifest_tells_which_tensors_stay_on_gpus(model: Path, tmp_path: Path) -> None:
    manifest = build(load_models([model]), tmp_path / "out", backends="ngc")
    found = {
        (each.request_type, edge.producer, edge.consumer): (edge.transport, edge.rule)
        for each in manifest.paths
        for way in each.routes
        for edge in way.edges
    }
    compiled = {each.request_type: each.routes[0].ensemble for each in manifest.paths}
    assert compiled == {"chain": "devices__chain__path", "both": None, "kill": "devices__kill__path"}
    assert found["chain", "fill.y", "triple.x"] == ("device ref", "memory: device")
    assert found["chain", "triple.y", "total.x"] == ("device ref", "memory: device")
    assert found["both", "fill.y", "gather.xs"] == ("device ref", "memory: device")
    assert found["both", "fill.y", "peek.x"] == ("ref", "varies")
    assert found["kill", "fill.pid", "triple.victim"] == ("inline", "small")
