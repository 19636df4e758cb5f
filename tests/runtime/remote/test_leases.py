from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tritonclient.grpc.aio import InferenceServerClient

from corntriton.runtime.remote.leases import Leases
from corntriton.runtime.transfer.client import Peer
from tests.runtime.remote.far import FarServer

Run = Callable[[Callable[[Leases], Awaitable[None]]], None]


@pytest.fixture
def server(far: Callable[..., FarServer]) -> FarServer:
    started = far()
    started.lends = True
    return started


@pytest.fixture
def run(server: FarServer) -> Run:
    """Runs a coroutine with the leases on the server, of which none are left afterwards."""

    def on_it(work: Callable[[Leases], Awaitable[None]]) -> None:
        async def main() -> None:
            async with InferenceServerClient(server.address) as client:
                leases = Leases(Peer(server.address, client))
                await work(leases)
                await leases.close()

        asyncio.run(main())
        ended = [owner for call in server.asked("end") for owner in call["owners"]]
        assert len(ended) == len({*ended}) == sum(call["count"] for call in server.asked("lend"))

    return on_it


async def take(leases: Leases) -> str:
    """As soon as there is one."""
    while (owner := leases.take()) is None:
        await asyncio.sleep(0.01)
    return owner


def test_leases_are_lent_in_advance(server: FarServer, run: Run) -> None:
    async def work(leases: Leases) -> None:
        assert leases.take() is None  # and whoever wants it now asks for one
        owners = [await take(leases) for _ in range(20)]
        assert len({*owners}) == 20
        assert len(server.asked("lend")) < 10

    run(work)


def test_those_of_requests_that_are_over_end_together(server: FarServer, run: Run) -> None:
    async def work(leases: Leases) -> None:
        for owner in [await take(leases) for _ in range(20)]:
            leases.release(owner)
        while leases._ending is not None and not leases._ending.done():
            await asyncio.sleep(0.01)
        assert [len(call["owners"]) for call in server.asked("end")] == [20]

    run(work)


def test_what_was_lent_is_renewed_while_requests_come_and_given_back_then(
    server: FarServer, run: Run
) -> None:
    async def work(leases: Leases) -> None:
        owner = await take(leases)
        await leases.renew()
        renewed = server.asked("renew")[-1]["owners"]
        assert owner in renewed
        assert len(renewed) > 1
        await leases.renew()
        assert server.asked("renew")[-1]["owners"] == [owner]

    run(work)


def test_nothing_is_left_of_a_server_that_was_lost(server: FarServer) -> None:
    async def main() -> None:
        async with InferenceServerClient(server.address) as client:
            leases = Leases(Peer(server.address, client))
            owner = await take(leases)
            assert leases.any
            leases.forget()
            assert not leases.any
            leases.release(owner)
            await leases.renew()
            await leases.close()

    asyncio.run(main())
    assert server.asked("end") == server.asked("renew") == []
