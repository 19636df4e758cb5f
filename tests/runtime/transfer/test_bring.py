"""What one server brings from another, on two tritonservers that share no memory."""

from __future__ import annotations

import asyncio
import http.client
import re

import numpy as np
import pytest

from corntriton.runtime.failures import CallError, ServerLostError
from corntriton.runtime.shm import immediate
from corntriton.runtime.shm.credential import verify
from corntriton.runtime.shm.errors import InvalidRefError
from corntriton.runtime.shm.ref import Ref
from corntriton.runtime.transfer.client import CHUNK_BYTES, Peer
from corntriton.runtime.transfer.faults import SourceLostError
from tests.runtime.transfer.conftest import ARENA_BYTES, MAX_LEASES, MB, TIMEOUT_US, Node, bring

pytestmark = pytest.mark.server
PULLED, REQUESTS = "corntriton_pulled_bytes_total", "nv_inference_request_success"
TENSORS = {
    "a matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a scalar": np.float64(1.5).reshape(()),
    "one without elements": np.empty((3, 0, 2), np.int64),
    "one chunk to the byte": np.arange(CHUNK_BYTES, dtype=np.uint8),
    "several chunks": np.arange(5 * CHUNK_BYTES // 4 + 1, dtype=np.int32),
    "texts": np.array([[b"", b"a\0b"], [b"long" * 1000, "ä".encode()]], np.object_),
    "no texts": np.empty((0, 4), np.object_),
    "texts of several chunks": np.array([b"x" * MB, b"y" * (3 * MB)], np.object_),
}


def metric(node: Node, name: str) -> int:
    """The sum over its labels."""
    host, port = node.server.metrics_url.split(":")
    connection = http.client.HTTPConnection(host, int(port))
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    connection.close()
    return int(sum(map(float, re.findall(rf"^{name}{{.*}} (\S+)$", page, re.M))))


def test_each_server_says_who_it_is(nodes):
    for role, node in nodes.items():
        who = node.talk(Peer.who)
        assert (who.role, who.node) == (role, node.memory.regions.node)
        assert who.transports[-1] == "grpc"
    assert nodes["large"].memory.regions.node != nodes["small"].memory.regions.node


@pytest.mark.parametrize("kind", TENSORS)
def test_a_tensor_arrives_as_it_was(kind, source, target):
    ref, owned = source.put(TENSORS[kind])
    (brought,) = bring(target, ref)
    assert (brought.dtype, brought.shape) == (TENSORS[kind].dtype, TENSORS[kind].shape)
    assert brought.tolist() == TENSORS[kind].tolist()
    read = source.talk(lambda peer: peer.read(ref))
    assert (read.dtype, read.tolist()) == (TENSORS[kind].dtype, TENSORS[kind].tolist())
    owned.end()


def test_refs_that_need_not_be_brought_come_back_as_they_are(source, target):
    small, (near, owned) = immediate.pack(np.arange(3)), target.put(np.ones(1000))

    async def run(peer: Peer) -> list[bytes]:
        lease, local = await peer.bring(None, [small, near], TIMEOUT_US)
        await peer.end([lease])
        return local

    assert target.talk(run) == [small, near]
    assert source.talk(lambda peer: peer.read(small)).tolist() == [0, 1, 2]
    owned.end()


def test_a_lease_is_a_live_request_of_that_server_until_it_ends(source, target):
    ref, owned = source.put(np.arange(1000))

    async def run(peer: Peer) -> None:
        lease, (local,) = await peer.bring(None, [ref], TIMEOUT_US)
        tag = verify(lease, target.memory.regions)
        assert target.memory.read(local, tag).tolist() == [*range(1000)]
        same, (again,) = await peer.bring(lease, [ref], TIMEOUT_US)
        assert (same, again) == (lease, local)
        await peer.end([lease])
        with pytest.raises(InvalidRefError):
            target.memory.read(local)
        with pytest.raises(CallError, match="has ended") as failure:
            await peer.bring(lease, [ref], TIMEOUT_US)
        assert failure.value.code == "INVALID_ARG"

    target.talk(run)
    owned.end()


def test_a_ref_that_is_asked_for_several_times_at_once_is_pulled_once(source, target):
    ref, owned = source.put(np.arange(MB // 2, dtype=np.uint64))
    before = metric(target, PULLED)

    async def run(peer: Peer) -> None:
        lease, _ = await peer.bring(None, [], TIMEOUT_US)
        answers = await asyncio.gather(*(peer.bring(lease, [ref, ref], TIMEOUT_US) for _ in range(4)))
        assert len({local for _, refs in answers for local in refs}) == 1
        await peer.end([lease])

    target.talk(run)
    for _ in range(100):  # the page is behind the counter
        if metric(target, PULLED) > before:
            break
    assert metric(target, PULLED) - before == 4 * MB
    owned.end()


def test_many_tensors_come_at_once(source, target):
    put = [source.put(np.full(size, size % 251, np.uint8)) for size in range(1000, 300_000, 7_000)]
    for brought, (ref, _) in zip(bring(target, *(ref for ref, _ in put)), put, strict=True):
        assert brought.shape == Ref.unpack(ref).shape
        assert (brought == len(brought) % 251).all()
    for _, owned in put:
        owned.end()


def test_a_tensor_that_no_arena_could_hold_is_refused_at_once(source, target):
    ref, owned = source.put(np.empty(ARENA_BYTES + 1, np.uint8))
    with pytest.raises(CallError, match=f"{ARENA_BYTES + 1} bytes is larger than its arena") as failure:
        bring(target, ref)
    assert failure.value.code == "INTERNAL"
    owned.end()


def test_a_full_arena_makes_a_tensor_wait_until_there_is_room(source, target):
    (first, one), (second, two) = (source.put(np.full(ARENA_BYTES * 3 // 4, n, np.uint8)) for n in (1, 2))

    async def run(peer: Peer) -> None:
        lease, _ = await peer.bring(None, [first], TIMEOUT_US)
        with pytest.raises(CallError, match="has no room for") as failure:
            await peer.bring(None, [second], 300_000)
        assert failure.value.code == "UNAVAILABLE"
        assert not isinstance(failure.value, ServerLostError)
        waiting = asyncio.ensure_future(peer.bring(None, [second], TIMEOUT_US))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        await peer.end([lease])
        other, (local,) = await waiting
        assert (target.memory.read(local) == 2).all()
        await peer.end([other])

    target.talk(run)
    one.end()
    two.end()


def test_there_are_only_so_many_leases_and_a_failed_or_cancelled_call_leaves_none(source, target):
    whole, owned = source.put(np.ones(ARENA_BYTES, np.uint8))

    async def run(peer: Peer) -> None:
        lease, _ = await peer.bring(None, [whole], TIMEOUT_US)
        for _ in range(2 * MAX_LEASES):
            with pytest.raises(CallError):
                await peer.bring(None, [b"no ref".ljust(192)], TIMEOUT_US)
        gone = [asyncio.ensure_future(peer.bring(None, [whole], TIMEOUT_US)) for _ in range(MAX_LEASES - 1)]
        await asyncio.sleep(0.3)
        with pytest.raises(CallError, match="as many as it can") as failure:
            await peer.bring(None, [], TIMEOUT_US)
        assert failure.value.code == "UNAVAILABLE"
        for one in gone:
            one.cancel()
        await asyncio.wait(gone)
        leases = []
        while len(leases) < MAX_LEASES - 1:
            try:
                leases.append((await peer.bring(None, [], TIMEOUT_US))[0])
            except CallError:
                await asyncio.sleep(0.05)
        await peer.end([lease, *leases])

    target.talk(run)
    owned.end()


def test_a_tensor_whose_request_has_ended_is_gone(source, target):
    ref, owned = source.put(np.arange(1000))
    owned.end()
    with pytest.raises(CallError, match="that has ended") as failure:
        bring(target, ref)
    assert failure.value.code == "INVALID_ARG"


def test_memory_of_a_gpu_does_not_cross_servers(source, target):
    ref, owned = source.put(np.arange(1000))
    with pytest.raises(CallError, match="memory of a GPU") as failure:
        bring(target, Ref.unpack(ref)._replace(device=1).pack())
    assert failure.value.code == "INVALID_ARG"
    with pytest.raises(CallError, match="names the device 1"):
        source.talk(lambda peer: peer.read(Ref.unpack(ref)._replace(device=1).pack()))
    owned.end()


def test_a_node_that_no_server_has_is_lost(source, target):
    ref, owned = source.put(np.arange(1000))
    with pytest.raises(SourceLostError, match="no server of CORNTRITON_SERVERS") as failure:
        bring(target, Ref.unpack(ref)._replace(node=(1, 2)).pack())
    assert failure.value.code == "UNAVAILABLE"
    owned.end()


def test_servers_are_not_asked_again_and_again_for_nodes_that_nobody_has(source, target):
    packed, owned = source.put(np.arange(1000))
    unknown = [Ref.unpack(packed)._replace(node=(1, number)).pack() for number in range(50)]

    async def run(peer: Peer) -> None:
        asked = (peer.bring(None, [one], TIMEOUT_US) for one in unknown[: MAX_LEASES - 1])
        for lost in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(lost, SourceLostError)
        with pytest.raises(SourceLostError):
            await peer.bring(None, unknown, TIMEOUT_US)

    before = metric(source, REQUESTS)
    target.talk(run)
    assert metric(source, REQUESTS) - before <= 3
    owned.end()
