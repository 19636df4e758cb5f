"""Servers that die or hang while tensors are on their way."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from corntriton.runtime.failures import CallError, ServerLostError
from corntriton.runtime.transfer.client import CHUNK_BYTES, Peer
from corntriton.runtime.transfer.faults import SourceLostError
from corntriton.serving.traces import processes_of
from tests.runtime.transfer.conftest import MB, Node

pytestmark = pytest.mark.server
ARENA_BYTES, LARGE_BYTES = 48 * MB, 47 * MB
ROLES = ("target", "killed", "living", "hanging")
# More than a lease lasts: so long is there what a caller left who had gone when the answer was on its way.
TIMEOUT_US = 30_000_000
Nodes = Mapping[str, Node]


@pytest.fixture(scope="module")
def nodes(nodes_of: Callable[..., object]) -> Iterator[Nodes]:
    """The target lives through all tests; each source is spent by one."""
    with nodes_of(*ROLES, arena_bytes=ARENA_BYTES, max_leases=64) as started:
        yield started


async def brought_whole(peer: Peer, ref: bytes) -> None:
    """All of the arena is free, or this would have no room."""
    lease, _ = await peer.bring(None, [ref], TIMEOUT_US)
    await peer.end([lease])


def test_a_source_that_dies_in_mid_pull_is_lost_and_leaves_no_slot_behind(nodes):
    target, killed, living = nodes["target"], nodes["killed"], nodes["living"]
    (small, _), (large, _), (other, owned) = (
        node.put(np.ones(size, np.uint8))
        for node, size in ((killed, 1000), (killed, LARGE_BYTES), (living, ARENA_BYTES))
    )

    async def run(peer: Peer) -> None:
        lease, (near,) = await peer.bring(None, [small], TIMEOUT_US)
        pull = asyncio.ensure_future(peer.bring(lease, [large], TIMEOUT_US))
        await target.arena_has(LARGE_BYTES)
        killed.signal(signal.SIGKILL)
        with pytest.raises(SourceLostError) as failure:
            await pull
        assert failure.value.code == "UNAVAILABLE"
        assert target.memory.read(near).tolist() == [1] * 1000
        with pytest.raises(SourceLostError):
            await peer.bring(lease, [large], TIMEOUT_US)
        await peer.end([lease])
        await brought_whole(peer, other)

    target.talk(run)
    with pytest.raises(ServerLostError):
        killed.talk(Peer.who)
    owned.end()


def test_a_source_that_hangs_costs_no_more_than_the_time_given(nodes):
    target, hanging, living = nodes["target"], nodes["hanging"], nodes["living"]
    (ref, owned), (other, theirs) = (node.put(np.ones(ARENA_BYTES, np.uint8)) for node in (hanging, living))

    async def run(peer: Peer) -> None:
        await brought_whole(peer, ref)
        hanging.signal(signal.SIGSTOP)
        try:
            with pytest.raises(CallError, match="the deadline passed") as failure:
                await peer.bring(None, [ref], 500_000)
            assert failure.value.code == "UNAVAILABLE"
            await brought_whole(peer, other)
        finally:
            hanging.signal(signal.SIGCONT)
        await brought_whole(peer, ref)

    target.talk(run)
    owned.end()
    theirs.end()


def test_a_server_whose_transfer_model_died_is_lost(nodes):
    node = nodes["hanging"]
    assert node.talk(Peer.who).role == "hanging"
    stubs = [pid for pid in processes_of(node.server.id) if "python_backend_stub" in command(pid)]
    os.kill(stubs[0], signal.SIGKILL)
    with pytest.raises(ServerLostError, match="was lost"):
        node.talk(Peer.who)
    node.signal(signal.SIGKILL)  # it would wait for the model as long as it may


def test_whatever_comes_and_goes_at_once_is_right_and_nothing_leaks(nodes):
    target, living = nodes["target"], nodes["living"]
    # So that however the arena is cut up, one of those that have one tensor and wait for another gets it.
    sizes = (0, 1, 1000, CHUNK_BYTES, 3 * CHUNK_BYTES + 1)
    put = [living.put(np.full(size, number, np.uint8)) for number, size in enumerate(sizes)]

    async def lane(peer: Peer, chance: random.Random) -> None:
        for _ in range(12):
            numbers = chance.sample(range(len(sizes)), 2)
            work = asyncio.ensure_future(peer.bring(None, [put[n][0] for n in numbers], TIMEOUT_US))
            if chance.random() < 0.2:
                await asyncio.sleep(0.02 * chance.random())
                work.cancel()
                await asyncio.wait([work])
            if work.cancelled():
                continue
            lease, local = await work
            for number, ref in zip(numbers, local, strict=True):
                array = target.memory.read(ref)
                assert array.shape == (sizes[number],)
                assert (array == number).all()
                del array
            await peer.end([lease])

    async def run(peer: Peer) -> None:
        await asyncio.gather(*(lane(peer, random.Random(seed)) for seed in range(4)))
        whole, owned = living.put(np.ones(ARENA_BYTES, np.uint8))
        await brought_whole(peer, whole)
        owned.end()

    target.talk(run)
    for _, owned in put:
        owned.end()


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
