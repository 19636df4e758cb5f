from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from corntriton.runtime.remote.addresses import Endpoint
from corntriton.runtime.remote.loop import LoopThread
from corntriton.runtime.remote.servers import Servers
from tests.runtime.remote.far import PATIENCE_S, FarServer


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    made = LoopThread("test-remote")
    yield made
    made.close()


@pytest.fixture
def far() -> Iterator[Callable[..., FarServer]]:
    """Starts servers, and stops them at the end."""
    started: list[FarServer] = []

    def start(**options: object) -> FarServer:
        started.append(FarServer(**options))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def servers_of(loop: LoopThread) -> Iterator[Callable[..., Servers]]:
    """What an orchestrator knows of servers of the role `far`."""
    made: list[Servers] = []

    def make(*ports: int) -> Servers:
        async def start() -> Servers:
            servers = Servers(["far"], {"far": [Endpoint("127.0.0.1", port) for port in ports]})
            await servers.start()
            return servers

        made.append(loop.run(start()))
        return made[-1]

    yield make
    for servers in made:
        loop.run(servers.close())


def eventually(true: Callable[[], object]) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < give_up_s, "it never came true"
        time.sleep(0.02)
