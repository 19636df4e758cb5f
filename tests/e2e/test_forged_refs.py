"""Clients that make up refs and owners get INVALID_ARGUMENT for each, and nothing of anybody's memory."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.grpc.service_pb2 import InferParameter, ModelInferRequest, ModelStreamInferResponse

from corntriton.repository.build import build
from corntriton.runtime.parcel import ByRef, pack
from corntriton.runtime.routing import Router
from corntriton.runtime.settings import CALL, PATH, RESULT, OrchestratorSettings
from corntriton.runtime.shm.region import Region
from corntriton.serving.client import make_request
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server
from corntriton.serving.traces import traces_of
from corntriton.spec.load import load_models
from tests.e2e import forger
from tests.e2e.conftest import MODELS, Watched
from tests.repository.hand_plans import executor, hand_plan

pytestmark = pytest.mark.server
SIZE = 100_000
AT_ONCE = 64
Owner = str | int | bool | None
_REFUSAL = re.compile("the input call .*refs?|owner parameter")


@pytest.fixture(scope="module")
def guarded(build_and_serve: Callable[..., Server]) -> Iterator[Watched]:
    with build_and_serve("guarded") as server:
        yield Watched(server)
    assert traces_of(server.id) == []


@contextmanager
def held(watched: Watched) -> Iterator[tuple[bytes, str]]:
    """A live request: the ref of a tensor that it holds, and its owner's credential."""
    with watched.connect("grpc") as client:
        with watched.logging("hold has begun"):
            content = make_request(tritonclient.grpc, {"size": np.array([SIZE])}, ["total"], {"hold": True})
            call = client.triton.async_infer("guarded", callback=lambda result, error: None, **content)
        found = forger.regions(watched.server.id)
        [owner] = owners(found)
        yield newest([ref for region in found for ref in forger.refs_in(region)]), owner
        call.cancel()
        while owners(found):  # pytest's timeout bounds it
            time.sleep(0.01)


def owners(regions: list[Region]) -> list[str]:
    return [owner for region in regions for owner in forger.owners_in(region)]


def newest(refs: Iterable[bytes]) -> bytes:
    return max(refs, key=lambda ref: int.from_bytes(ref[40:48], "little"))


def call(
    model: str,
    inputs: dict[str, np.ndarray],
    outputs: Iterable[str] = ("total", "seen"),
    owner: Owner = None,
    **parameters: str,
) -> ModelInferRequest:
    """A request as any gRPC client can send it."""
    given: dict[str, Owner] = {**parameters, **({} if owner is None else {"corntriton_owner": owner})}
    names = {np.dtype(np.uint8): "UINT8", np.dtype(np.int64): "INT64"}
    return ModelInferRequest(
        model_name=model,
        inputs=[
            ModelInferRequest.InferInputTensor(name=name, datatype=names[array.dtype], shape=array.shape)
            for name, array in inputs.items()
        ],
        outputs=[ModelInferRequest.InferRequestedOutputTensor(name=name) for name in outputs],
        raw_input_contents=[array.tobytes() for array in inputs.values()],
        parameters={name: _parameter(value) for name, value in given.items()},
    )


def _parameter(value: Owner) -> InferParameter:
    if isinstance(value, str):
        return InferParameter(string_param=value)
    return InferParameter(bool_param=value) if isinstance(value, bool) else InferParameter(int64_param=value)


def by_ref(ref: bytes, **more: Any) -> ModelInferRequest:
    """To the component that takes one tensor."""
    row = np.frombuffer(ref, np.uint8)
    return call("guarded__take", {"data__ref": row[None]}, **more)


def codes(watched: Watched, requests: Iterable[ModelInferRequest]) -> Counter[str]:
    """How the server answers them, many at once."""

    async def ask_all() -> Counter[str]:
        found: Counter[str] = Counter()
        pending = iter(requests)
        async with grpc.aio.insecure_channel(watched.server.grpc_url) as channel:
            infer: Any = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")

            async def ask_on() -> None:
                for request in pending:
                    try:
                        await infer(request.SerializeToString())
                        found["OK"] += 1
                    except grpc.aio.AioRpcError as error:
                        found[error.code().name] += 1

            await asyncio.gather(*(ask_on() for _ in range(AT_ONCE)))
        return found

    return asyncio.run(ask_all())


def refused(watched: Watched, requests: Iterable[ModelInferRequest]) -> int:
    """How many there were, all of which must be INVALID_ARGUMENT."""
    found = codes(watched, requests)
    assert {*found} == {"INVALID_ARGUMENT"}
    return found["INVALID_ARGUMENT"]


def seen(watched: Watched) -> int:
    """How many tensors the two components have ever been given, after two more."""
    with watched.connect("grpc") as client:
        data = np.ones(5, np.uint8)
        one = client.infer("guarded__take", {"data": data[None]}, ["seen", "total"])
        both = client.infer("guarded__take_all", {"datas": data[None, None]}, ["seen", "total"])
        assert one["total"].item() == both["total"].item() == 5
        return int(one["seen"].item() + both["seen"].item())


def answers_right(watched: Watched) -> None:
    with watched.connect("grpc") as client:
        for parameters, total in (({}, SIZE), ({"twice": True}, 2 * SIZE)):
            answer = client.infer("guarded", {"size": np.array([SIZE])}, ["total"], parameters)
            assert answer["total"].item() == total


@pytest.fixture(autouse=True)
def goes_on_as_before(request: Any) -> Iterator[None]:
    """After each test the server answers right, and has started no process anew."""
    watched: Watched = request.getfixturevalue("guarded")
    answers_right(watched)
    before = workers(watched)
    yield
    answers_right(watched)
    assert workers(watched) == before


def workers(watched: Watched) -> dict[str, list[int]]:
    return {name: watched.workers(f"guarded__{name}") for name in ("give", "take", "take_all", "hold")}


@pytest.fixture(scope="module")
def ended(guarded: Watched) -> tuple[bytes, str]:
    """The ref and the credential of a request that has ended."""
    with held(guarded) as found:
        return found


def test_thousands_of_forged_refs_are_refused_and_none_is_read(
    guarded: Watched, ended: tuple[bytes, str]
) -> None:
    with held(guarded) as (ref, owner):
        before, some = seen(guarded), [*forger.forgeries(ref, ended[0], random.Random(4))]
        count = refused(guarded, (by_ref(forged, owner=owner) for forged in some))
        count += refused(guarded, (by_ref(forged) for forged in some))
        lists = (np.frombuffer(ref + forged, np.uint8).reshape(1, 2, -1) for forged in some)
        every = (call("guarded__take_all", {"datas__ref": refs}, owner=owner) for refs in lists)
        count += refused(guarded, every)
        assert count > 10_000
        assert seen(guarded) == before + 2


def test_a_true_ref_is_of_no_use_without_the_credential_of_its_request(
    guarded: Watched, ended: tuple[bytes, str]
) -> None:
    with held(guarded) as (ref, owner):
        before, false = seen(guarded), [*forger.false_owners(owner, ended[1], random.Random(5))]
        assert refused(guarded, (by_ref(ref, owner=each) for each in [None, *false])) > 50
        assert refused(guarded, [by_ref(ended[0], owner=owner)]) == 1
        assert seen(guarded) == before + 2


def test_refs_of_ended_requests_are_refused_before_and_after_their_memory_is_used_again(
    guarded: Watched,
) -> None:
    with held(guarded) as (ref, owner):
        pass
    before = seen(guarded)
    stale = [by_ref(ref, owner=each) for each in (None, owner)]
    assert refused(guarded, stale) == 2
    answers_right(guarded)
    assert refused(guarded, stale) == 2
    assert seen(guarded) == before + 3 + 2  # the answers, and what `seen` gives


def test_refs_of_another_shape_or_beside_the_tensor_itself_are_refused(guarded: Watched) -> None:
    with held(guarded) as (ref, owner):
        row = np.frombuffer(ref, np.uint8)[None]
        inputs: list[dict[str, np.ndarray]] = [{"data__ref": row[:, :nbytes]} for nbytes in (1, 64, 191)]
        inputs += [{"data__ref": np.concatenate([row, row], axis=1)}, {"data__ref": row[:0]}, {}]
        inputs += [{"data": np.ones((1, 5), np.uint8), "data__ref": row}]
        requests = [call("guarded__take", each, owner=owner) for each in inputs]
        assert refused(guarded, requests) == len(inputs)


def test_nobody_gets_a_ref_who_does_not_own_a_request(guarded: Watched, ended: tuple[bytes, str]) -> None:
    size = {"size": np.array([[SIZE]])}
    with held(guarded) as (_, owner):
        owners = [None, *forger.false_owners(owner, ended[1], random.Random(6))]
        for outputs in (["data__ref"], ["data", "data__ref"]):
            requests = [call("guarded__give", size, outputs, owner=each) for each in owners]
            assert refused(guarded, requests) == len(owners)


def test_nonsense_in_the_other_parameters_harms_only_its_request(guarded: Watched) -> None:
    data = {"data": np.ones((1, 5), np.uint8)}
    odd = ["soon", "", "1e400", "-1"]
    found = codes(guarded, [call("guarded__take", data, corntriton_deadline_ns=text) for text in odd])
    assert found["OK"] + found["INVALID_ARGUMENT"] + found["UNAVAILABLE"] == len(odd)


@pytest.fixture(scope="module")
def joint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Joint]:
    """The same model with an executor of several components, which takes its tensors in parcels."""
    models, folder = load_models([MODELS / "guarded"]), tmp_path_factory.mktemp("joint") / "out"
    together = [f"guarded/{name}" for name in ("take", "take_all", "hold")]
    executors = [executor("together@cpu", together), executor("give@cpu", ["guarded/give"])]
    ways = {**dict.fromkeys(together, "together@cpu"), "guarded/give": "give@cpu"}
    build(models, folder, plan=hand_plan(models, executors, [(1, ways)]))
    deployment = read_deployment(folder)
    settings = OrchestratorSettings.load(deployment.repository / "guarded" / "1" / "orchestrator.json")
    with Server(deployment, find_launcher(), exit_timeout_s=10) as server:
        yield Joint(Watched(server), settings)
    assert traces_of(server.id) == []


@dataclass(frozen=True)
class Joint:
    """A server with an executor, and how requests reach that."""

    watched: Watched
    settings: OrchestratorSettings

    def parcel(self, type_name: str, refs: np.ndarray, owner: Owner) -> ModelInferRequest:
        """A call of the executor, as the orchestrator makes it for this request type."""
        fused = Router(self.settings).fused(type_name, self.settings.paths[type_name], 0)
        [(step, group)] = fused.groups.items()
        values = {PATH: group.path, **{name: ByRef(refs) for name in group.ports}}
        inputs = {CALL: pack(values, {"streams": False, "refs": []})}
        return call(self.settings.targets[fused.targets[step]].model_name, inputs, [RESULT], owner=owner)

    def refused(self, requests: Iterable[ModelInferRequest]) -> int:
        """How many there were, which must all be refused for their refs or their owner."""
        texts = asyncio.run(stream_errors(self.watched, [*requests]))
        assert [text for text in texts if not _REFUSAL.search(text)] == []
        return len(texts)


async def stream_errors(watched: Watched, requests: list[ModelInferRequest]) -> list[str]:
    """The error of each, or nothing; executors answer on streams alone."""
    async with grpc.aio.insecure_channel(watched.server.grpc_url) as channel:
        infer: Any = channel.stream_stream(
            "/inference.GRPCInferenceService/ModelStreamInfer",
            request_serializer=ModelInferRequest.SerializeToString,
            response_deserializer=ModelStreamInferResponse.FromString,
        )
        return [answer.error_message async for answer in infer(requests)]


def test_executors_refuse_forged_refs_in_parcels_too(joint: Joint, ended: tuple[bytes, str]) -> None:
    answers_right(joint.watched)
    with held(joint.watched) as (ref, owner):
        forged = np.frombuffer(b"".join(forger.forgeries(ref, ended[0], random.Random(7))), np.uint8)
        rows = forged.reshape(-1, len(ref))
        assert joint.refused(joint.parcel("once", row, owner) for row in rows) == len(rows) > 3000
        true = np.frombuffer(ref, np.uint8)
        lists = [np.stack([true, row]) for row in rows[::50]]
        assert joint.refused(joint.parcel("twice", pair, owner) for pair in lists) == len(lists)
        false = [None, *forger.false_owners(owner, ended[1], random.Random(8))]
        assert joint.refused(joint.parcel("once", true, each) for each in false) == len(false)
        assert asyncio.run(stream_errors(joint.watched, [joint.parcel("once", true, owner)])) == [""]
    answers_right(joint.watched)
