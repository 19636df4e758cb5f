"""How long leases live, on a real server that others have to keep asking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest

from corntriton.runtime.shm.credential import is_over, verify
from corntriton.runtime.shm.errors import InvalidOwnerError
from corntriton.runtime.transfer.client import Peer
from tests.runtime.transfer.conftest import ARENA_BYTES, Node

pytestmark = pytest.mark.server
LEASE_S = 1.0
_LOOK_S = 0.1


@pytest.fixture(scope="module")
def nodes(nodes_of: Callable[..., object]) -> Iterator[Mapping[str, Node]]:
    with nodes_of("only", "other", lease_s=LEASE_S) as started:
        yield started


@pytest.fixture
def node(nodes: Mapping[str, Node]) -> Node:
    return nodes["only"]


def test_a_lease_that_nobody_renews_ends_and_one_that_is_renewed_lives(node):
    regions = node.memory.regions

    async def run(peer: Peer) -> None:
        (kept, _), (left, _) = [await peer.bring(None, [], 1_000_000) for _ in range(2)]
        tag = verify(left, regions)
        for _ in range(int(3 * LEASE_S / _LOOK_S)):
            await peer.renew([kept, "nobody"])
            await asyncio.sleep(_LOOK_S)
        assert is_over(tag, regions)
        with pytest.raises(InvalidOwnerError):
            verify(left, regions)
        assert not is_over(verify(kept, regions), regions)
        await peer.end([kept, left])
        with pytest.raises(InvalidOwnerError):
            verify(kept, regions)

    node.talk(run)


def test_what_components_put_for_a_lease_goes_with_it(node):
    async def run(peer: Peer) -> None:
        lease, _ = await peer.bring(None, [], 1_000_000)
        node.memory.arena.put(np.ones(1000), verify(lease, node.memory.regions))
        assert node.memory.arena.usage.used_bytes >= 8000
        await peer.end([lease])

    node.talk(run)
    assert node.memory.arena.usage.used_bytes == 0


def test_a_lease_lives_while_something_is_brought_for_it(node, nodes):
    (first, one), (second, two) = (nodes["other"].put(np.full(ARENA_BYTES, n, np.uint8)) for n in (1, 2))

    async def run(peer: Peer) -> None:
        full, _ = await peer.bring(None, [first], 20_000_000)
        waiting = asyncio.ensure_future(peer.bring(None, [second], 20_000_000))
        for _ in range(int(2 * LEASE_S / _LOOK_S)):
            await peer.renew([full])
            await asyncio.sleep(_LOOK_S)
        await peer.end([full])
        lease, (local,) = await waiting
        assert node.memory.read(local).all()
        await peer.end([lease])

    node.talk(run)
    one.end()
    two.end()
