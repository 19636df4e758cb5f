"""One request on other servers: what it asks their transfer models for, and when that ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from corntriton.runtime.failures import CallError, ClientLeftError, ServerLostError
from corntriton.runtime.remote.loop import LoopThread
from corntriton.runtime.remote.servers import Servers
from corntriton.runtime.remote.visit import Visit
from corntriton.runtime.shm import immediate
from corntriton.runtime.shm.layout import ArenaId
from corntriton.runtime.shm.ref import REF_BYTES, Ref
from tests.runtime.remote.conftest import eventually
from tests.runtime.remote.far import FarServer

Start = Callable[..., FarServer]
Known = Callable[..., Servers]
HERE, THERE = (7, 8), (1, 2)


@pytest.fixture
def visit_of(loop: LoopThread) -> Callable[..., Visit]:
    def make(servers: Servers, node: tuple[int, int] = HERE) -> Visit:
        return Visit(servers, loop, node, "my own", time.monotonic_ns() + 20 * 10**9)

    return make


def ref(number: int, node: tuple[int, int] = HERE) -> bytes:
    return Ref(ArenaId(1, 2, 3), number, 1, 0, 4, (5, 6), "UINT8", (4,), node).pack()


def rows(*packed: bytes) -> Any:
    return np.frombuffer(b"".join(packed), np.uint8).reshape(-1, REF_BYTES)


def test_refs_are_brought_and_a_lease_is_opened_in_one_call(
    far: Start, servers_of: Known, visit_of: Callable[..., Visit]
) -> None:
    server = far()
    stay = visit_of(servers_of(server.port)).at("far")
    one, other, small = ref(1), ref(2), immediate.pack(np.zeros(3, np.uint8))
    list_of_two, alone = stay.bring([rows(one, small), rows(other)[0]])
    assert [row.tobytes() for row in list_of_two] == [one[::-1], small]
    assert alone.tobytes() == other[::-1]
    [bring] = server.asked("bring")
    assert bring["owner"] is None
    assert {*bring["refs"]} == {one, other}
    assert 0 < bring["timeout_us"] <= 20_000_000
    assert stay.parameters()["corntriton_owner"] == "lease-1"
    assert 0 < stay.parameters()["corntriton_timeout_us"] <= 20_000_000


def test_what_was_brought_is_not_brought_again(
    far: Start, servers_of: Known, visit_of: Callable[..., Visit]
) -> None:
    server = far()
    stay = visit_of(servers_of(server.port)).at("far")
    stay.bring([rows(ref(1))])
    stay.bring([rows(ref(1), ref(2))])
    stay.open()
    _, second = server.asked("bring")
    assert (second["owner"], second["refs"]) == ("lease-1", [ref(2)])


def test_what_lies_there_is_only_named(far: Start, servers_of: Known, visit_of: Callable[..., Visit]) -> None:
    server = far(node=THERE)
    stay = visit_of(servers_of(server.port)).at("far")
    [there] = stay.bring([rows(ref(1, THERE))])
    assert there.tobytes() == ref(1, THERE)
    assert server.asked("bring") == []
    stay.open()
    assert [call["refs"] for call in server.asked("bring")] == [[]]


def test_a_server_with_the_same_memory_needs_no_lease(
    far: Start, servers_of: Known, visit_of: Callable[..., Visit]
) -> None:
    server = far(node=HERE)
    visit = visit_of(servers_of(server.port))
    stay = visit.at("far")
    stay.open()
    assert stay.bring([rows(ref(1))])[0].tobytes() == ref(1)
    assert stay.parameters()["corntriton_owner"] == "my own"
    visit.end()
    assert {call["op"] for call in server.calls} == {"who"}


def test_calls_at_once_share_a_lease(far: Start, servers_of: Known, visit_of: Callable[..., Visit]) -> None:
    server = far()
    stay = visit_of(servers_of(server.port)).at("far")
    server.hanging.clear()
    threads = [threading.Thread(target=lambda n=n: stay.bring([rows(ref(n))])) for n in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: server.asked("bring"))
    server.hanging.set()
    for thread in threads:
        thread.join()
    assert sorted(str(call["owner"]) for call in server.asked("bring")) == ["None", *["lease-1"] * 3]


def test_a_request_keeps_the_server_that_it_has_drawn(
    far: Start, servers_of: Known, visit_of: Callable[..., Visit]
) -> None:
    servers = servers_of(far().port, far().port)
    visit, other = visit_of(servers), visit_of(servers)
    assert visit.at("far") is visit.at("far")
    assert other.at("far").server is not visit.at("far").server
    visit.end()
    visit.end()
    assert [server.n_visits for server in visit.servers] == [0]
    with pytest.raises(ClientLeftError):
        visit.at("far")


def test_leases_end_when_their_requests_are_over(
    far: Start, servers_of: Known, visit_of: Callable[..., Visit]
) -> None:
    server = far()
    servers = servers_of(server.port)
    visits = [visit_of(servers) for _ in range(20)]
    for visit in visits:
        visit.at("far").open()
    for visit in visits:
        visit.end()
    ended = lambda: [owner for call in server.asked("end") for owner in call["owners"]]  # noqa: E731
    eventually(lambda: len(ended()) == 20)
    assert {*ended()} == {f"lease-{number}" for number in range(1, 21)}


def test_a_request_that_is_over_ends_its_calls_before_its_lease(
    far: Start, servers_of: Known, visit_of: Callable[..., Visit]
) -> None:
    server = far()
    visit = visit_of(servers_of(server.port))
    stay = visit.at("far")
    stay.open()
    server.hanging.clear()
    failures: list[Exception] = []

    def call() -> None:
        try:
            stay.bring([rows(ref(1))])
        except ClientLeftError as error:
            failures.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    eventually(lambda: len(server.asked("bring")) == 2)
    visit.end()
    assert server.given_up.acquire(timeout=20)
    thread.join()
    assert [str(failure) for failure in failures] == ["it is over"]
    server.hanging.set()
    eventually(lambda: server.asked("end"))
    with pytest.raises(ClientLeftError):
        stay.bring([rows(ref(2))])


def test_a_lost_server_ends_the_calls_there(
    far: Start, servers_of: Known, visit_of: Callable[..., Visit], loop: LoopThread
) -> None:
    server = far()
    visit = visit_of(servers_of(server.port))
    stay = visit.at("far")
    server.hanging.clear()
    loop.start(_lose_soon(server, stay))
    with pytest.raises(ServerLostError, match="was lost: it does not answer"):
        stay.open()
    with pytest.raises(ServerLostError):
        visit.at("far")
    visit.end()
    assert server.asked("end") == []


async def _lose_soon(server: FarServer, stay: Any) -> None:
    while not server.asked("bring"):
        await asyncio.sleep(0.01)
    stay.server.lose("it does not answer")


def test_live_leases_are_renewed(far: Start, servers_of: Known, visit_of: Callable[..., Visit]) -> None:
    server = far()
    visit = visit_of(servers_of(server.port))
    visit.at("far").open()
    eventually(lambda: server.asked("renew"))
    assert server.asked("renew")[0]["owners"] == ["lease-1"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("the owner parameter names a request that has ended", ServerLostError),
        ("a ref names a tensor of another request, or of one that has ended", ServerLostError),
        ("it was lost", CallError),
    ],
)
def test_a_server_that_has_forgotten_the_request_was_lost(
    text: str, kind: type[CallError], far: Start, servers_of: Known, visit_of: Callable[..., Visit]
) -> None:
    stay = visit_of(servers_of(far().port)).at("far")
    stay.open()

    async def refused() -> None:
        raise CallError(f"component x: {text}", "INVALID_ARG")

    with pytest.raises(kind) as caught:
        stay.run(refused())
    assert type(caught.value) is kind
