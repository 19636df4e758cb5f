"""Tensors that come by NIXL: UCX on real tritonservers without a GPU, kept to TCP as between machines."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest

from corntriton.runtime.failures import CallError
from corntriton.runtime.shm.ref import Ref
from corntriton.runtime.transfer.client import Peer
from corntriton.runtime.transfer.faults import SourceLostError
from corntriton.runtime.transfer.nixl import TRANSPORT_VARIABLE
from tests.runtime.transfer.conftest import MB, TIMEOUT_US, Node, bring

pytestmark = pytest.mark.server
ARENA_BYTES = 90 * MB
# Each makes the target's arena grow, by which one sees that a read begins, and there is no room for two.
LARGE_BYTES, LARGER_BYTES = 60 * MB, ARENA_BYTES
BY_NIXL = "come by NIXL from now on"
# Enough to find out whether it works.
_N_TRIES = 100
# On one machine UCX would find shorter ways; and others may make and remove interfaces meanwhile.
TCP = {"UCX_TLS": "tcp", "UCX_NET_DEVICES": "lo"}
Nodes = Mapping[str, Node]


@pytest.fixture(scope="module")
def nodes(nodes_of: Callable[..., object]) -> Iterator[Nodes]:
    roles = ("target", "source", "killed", "hanging", "plain", "alone")
    others = {"plain": {TRANSPORT_VARIABLE: "grpc"}, "alone": {"UCX_TLS": "self"}}
    environments = {role: others.get(role, TCP) for role in roles}
    with nodes_of(*roles, arena_bytes=ARENA_BYTES, environments=environments) as started:
        yield started


def connected(target: Node, source: Node) -> None:
    """Brings something until the target knows that NIXL works with the source."""
    ref, owned = source.put(np.ones(3 * MB, np.uint8))
    for _ in range(_N_TRIES):
        bring(target, ref)
        if logged(target, source.address, BY_NIXL):
            break
    else:
        pytest.fail("it does not use NIXL")
    owned.end()


def logged(node: Node, *signs: str) -> bool:
    return any(all(sign in line.text for sign in signs) for line in node.server.log)


async def it_comes(peer: Peer, ref: bytes) -> None:
    """Something else that large would leave no room for it."""
    lease, _ = await peer.bring(None, [ref], TIMEOUT_US)
    await peer.end([lease])


def test_servers_say_whether_they_have_it(nodes):
    assert nodes["target"].talk(Peer.who).transports == ("nixl", "grpc")
    for role, reason in (("plain", TRANSPORT_VARIABLE), ("alone", "nixlBackendError")):
        assert nodes[role].talk(Peer.who).transports == ("grpc",)
        assert logged(nodes[role], "over gRPC, not by NIXL", reason)


def test_a_server_that_does_not_use_it_says_so_when_it_is_asked_for_a_place(nodes):
    with pytest.raises(CallError, match="does not use NIXL") as failure:
        nodes["plain"].talk(lambda peer: peer.open(None, "", TIMEOUT_US))
    assert failure.value.code == "UNSUPPORTED"


def test_tensors_arrive_as_they_were_while_arenas_grow(nodes):
    target, source = nodes["target"], nodes["source"]
    connected(target, source)
    for mb in (1, 3, 9, 27):
        texts = np.array([b"a" * (mb * MB // 4), b"", b"b" * mb], np.object_)
        numbers = np.random.default_rng(mb).integers(0, 9, mb * MB // 8)
        put = [source.put(numbers), source.put(texts)]
        for brought, (ref, _) in zip(bring(target, *(ref for ref, _ in put)), put, strict=True):
            expected = source.memory.read(ref)
            assert (brought.dtype, brought.shape) == (expected.dtype, expected.shape)
            assert (brought == expected).all()
            del expected
        for _, owned in put:
            owned.end()


def test_many_come_at_once_and_the_source_keeps_none_of_them(nodes):
    target, source = nodes["target"], nodes["source"]
    connected(target, source)
    put = [source.put(np.full(3 * MB + number, number, np.uint8)) for number in range(16)]
    for number, brought in enumerate(bring(target, *(ref for ref, _ in put))):
        assert (brought == number).all()
    for _, owned in put:
        owned.end()
    while source.memory.arena.usage.used_bytes:  # as long as a claim stands
        source.talk(Peer.who)


def test_made_up_refs_are_refused_before_anything_is_read(nodes):
    target, source = nodes["target"], nodes["source"]
    connected(target, source)
    packed, owned = source.put(np.ones(3 * MB, np.uint8))
    ref = Ref.unpack(packed)
    for forged in (
        ref._replace(nonce=(1, 2)),
        ref._replace(offset=ref.offset + 64),
        ref._replace(generation=9999),
    ):
        with pytest.raises(CallError, match=r"ref names|a ref is") as failure:
            bring(target, forged.pack())
        assert failure.value.code == "INVALID_ARG"
    owned.end()
    with pytest.raises(CallError, match="that has ended"):
        bring(target, packed)


@pytest.mark.parametrize("role", ["plain", "alone"])
def test_where_one_side_does_not_use_it_tensors_come_over_grpc(role, nodes):
    for source, target in (nodes["source"], nodes[role]), (nodes[role], nodes["source"]):
        ref, owned = source.put(np.arange(MB))
        for _ in range(2):
            assert bring(target, ref)[0].tolist() == [*range(MB)]
        assert not logged(target, source.address, BY_NIXL)
        owned.end()


def test_a_source_that_hangs_in_mid_read_costs_the_time_given_and_keeps_its_slot_only_so_long(nodes):
    target, hanging = nodes["target"], nodes["hanging"]
    connected(target, hanging)
    ref, owned = hanging.put(np.ones(LARGE_BYTES, np.uint8))

    async def run(peer: Peer) -> None:
        pull = asyncio.ensure_future(peer.bring(None, [ref], 2_000_000))
        await target.arena_has(LARGE_BYTES)
        hanging.signal(signal.SIGSTOP)
        try:
            with pytest.raises(CallError, match=r"the deadline passed|too long") as failure:
                await pull
            assert failure.value.code == "UNAVAILABLE"
        finally:
            hanging.signal(signal.SIGCONT)
        await it_comes(peer, ref)

    target.talk(run)
    owned.end()


def test_a_source_that_dies_in_mid_read_is_lost_and_leaves_no_slot_behind(nodes):
    target, killed, source = nodes["target"], nodes["killed"], nodes["source"]
    connected(target, killed)
    (ref, _), (other, owned) = (node.put(np.ones(LARGER_BYTES, np.uint8)) for node in (killed, source))

    async def run(peer: Peer) -> None:
        pull = asyncio.ensure_future(peer.bring(None, [ref], TIMEOUT_US))
        await target.arena_has(LARGER_BYTES)
        killed.signal(signal.SIGKILL)
        with pytest.raises(SourceLostError) as failure:
            await pull
        assert failure.value.code == "UNAVAILABLE"
        await it_comes(peer, other)

    target.talk(run)
    owned.end()
