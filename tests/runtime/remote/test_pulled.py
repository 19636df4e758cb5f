"""What lies on another node, for readers here; the other node is a directory of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from corntriton.runtime.failures import ServerLostError
from corntriton.runtime.remote.loop import LoopThread
from corntriton.runtime.remote.pulled import Pulled, Sources
from corntriton.runtime.remote.servers import Servers
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.owner import OwnedRequest
from corntriton.runtime.shm.ref import REF_BYTES
from tests.runtime.memory import memory
from tests.runtime.remote.far import FarServer

IMAGE = np.arange(3_000_000, dtype=np.int32).reshape(1000, 3000)


@pytest.fixture
def there() -> Iterator[SharedMemory]:
    with TemporaryDirectory(dir="/dev/shm") as folder:
        made = SharedMemory(64 << 20, n_requests=4, n_slots=16, directory=Path(folder))
        yield made
        made.close()


@pytest.fixture
def server(there: SharedMemory, far: Callable[..., FarServer]) -> FarServer:
    return far(node=there.regions.node, memory=there)


@pytest.fixture
def counted() -> list[tuple[str, int]]:
    """From where something came, and how many bytes."""
    return []


@pytest.fixture
def pulled(
    server: FarServer,
    servers_of: Callable[..., Servers],
    loop: LoopThread,
    owned: OwnedRequest,
    counted: list[tuple[str, int]],
) -> Pulled:
    servers = servers_of(server.port)

    async def made() -> Sources:
        return Sources(memory(), servers, lambda address, nbytes: counted.append((address, nbytes)))

    return Pulled(loop.run(made()), loop, owned.tag, time.monotonic_ns() + 20 * 10**9)


def put(where: SharedMemory, array: np.ndarray) -> bytes:
    return where.arena.put(array, where.owner.enter().tag)


def test_what_is_read_here_comes_once(
    there: SharedMemory, server: FarServer, pulled: Pulled, counted: list[tuple[str, int]]
) -> None:
    ref = put(there, IMAGE)
    first, second = pulled.read(ref), pulled.read(ref)
    assert first is second
    assert np.array_equal(first, IMAGE)
    assert not first.flags.writeable
    assert counted == [(server.address, IMAGE.nbytes)]


def test_texts_come_as_they_are(there: SharedMemory, pulled: Pulled) -> None:
    texts = np.array([b"one" * 100, b"", b"three" * 1000], object)
    assert pulled.read(put(there, texts)).tolist() == texts.tolist()


def test_what_components_are_to_read_comes_into_the_own_arena_once(
    there: SharedMemory, pulled: Pulled, counted: list[tuple[str, int]]
) -> None:
    far_away, near = put(there, IMAGE), put(memory(), IMAGE)
    refs = np.frombuffer(far_away + near + far_away, np.uint8).reshape(3, REF_BYTES)
    brought, again = pulled.bring([refs, refs[0]])
    assert brought.shape == refs.shape
    one, other, same = (row.tobytes() for row in brought)
    assert (one, other) == (again.tobytes(), near)
    assert one == same != far_away
    assert np.array_equal(memory().read(one), IMAGE)
    assert np.array_equal(pulled.read(far_away), IMAGE)
    assert len(counted) == 1


def test_what_lies_here_is_read_where_it_is(pulled: Pulled, counted: list[tuple[str, int]]) -> None:
    assert np.array_equal(pulled.read(put(memory(), IMAGE)), IMAGE)
    assert counted == []


def test_a_tensor_that_has_gone_is_a_server_that_was_lost(there: SharedMemory, pulled: Pulled) -> None:
    owner = there.owner.enter()
    ref = there.arena.put(IMAGE, owner.tag)
    owner.end()
    there.arena.put(IMAGE, there.owner.enter().tag)
    with pytest.raises(ServerLostError):
        pulled.read(ref)
    with pytest.raises(ServerLostError):
        pulled.bring([np.frombuffer(ref, np.uint8)])


def test_so_is_a_server_that_went_away(there: SharedMemory, server: FarServer, pulled: Pulled) -> None:
    ref = put(there, IMAGE)
    server.close()
    with pytest.raises(ServerLostError):
        pulled.read(ref)
