from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from corntriton.runtime.failures import ServerLostError
from corntriton.runtime.remote.loop import LoopThread
from corntriton.runtime.remote.servers import Servers
from tests.runtime.remote.conftest import eventually
from tests.runtime.remote.far import FarServer

Start = Callable[..., FarServer]
Known = Callable[..., Servers]


def test_requests_are_spread_evenly(far: Start, servers_of: Known) -> None:
    servers = servers_of(*(far().port for _ in range(3)))
    assert set(Counter(servers.draw("far").address for _ in range(30)).values()) == {10}


def test_who_has_fewer_requests_is_drawn(far: Start, servers_of: Known) -> None:
    servers = servers_of(far().port, far().port)
    busy, idle = servers.draw("far"), servers.draw("far")
    servers.put_back(idle)
    assert [servers.draw("far") for _ in range(2)].count(busy) == 1
    assert busy.n_visits == 2


def test_requests_that_come_one_by_one_go_round(far: Start, servers_of: Known) -> None:
    servers = servers_of(far().port, far().port)
    drawn = []
    for _ in range(4):
        drawn.append(servers.draw("far"))
        servers.put_back(drawn[-1])
    assert drawn[0] is drawn[2] is not drawn[1] is drawn[3]


def test_a_server_that_is_not_ready_is_left_out_until_it_is(far: Start, servers_of: Known) -> None:
    steady, shaky = far(), far()
    servers = servers_of(steady.port, shaky.port)
    shaky.ready = False
    eventually(lambda: sum(servers.gauges().values()) == 1)
    assert {servers.draw("far").address for _ in range(4)} == {steady.address}
    assert servers.down == frozenset()
    shaky.ready = True
    eventually(lambda: sum(servers.gauges().values()) == 2)


def test_a_server_that_cannot_be_reached_is_down_and_comes_back(far: Start, servers_of: Known) -> None:
    gone = far()
    servers = servers_of(gone.port)
    assert servers.down == frozenset()
    gone.close()
    eventually(lambda: servers.down == {"far"})
    with pytest.raises(ServerLostError, match=f"no server of the role far is up: {gone.address}: ."):
        servers.draw("far")
    far(port=gone.port)
    eventually(lambda: servers.down == frozenset())


def test_a_server_that_was_replaced_has_lost_what_it_had(far: Start, servers_of: Known) -> None:
    first = far()
    servers = servers_of(first.port)
    server = servers.draw("far")
    first.node = (3, 4)
    eventually(lambda: server.node == (3, 4))
    assert server.losses == 1
    assert server.up


def test_a_role_without_addresses_says_what_to_set(servers_of: Known) -> None:
    servers = servers_of()
    assert servers.down == {"far"}
    with pytest.raises(ServerLostError, match="far is known; To fix: set CORNTRITON_SERVERS"):
        servers.draw("far")


def test_the_server_with_a_tensor_is_found_by_its_node(
    far: Start, servers_of: Known, loop: LoopThread
) -> None:
    one, other = far(node=(1, 1)), far(node=(2, 2))
    servers = servers_of(one.port, other.port)
    peer = loop.run(servers.find((2, 2)))
    assert peer.address == other.address
    servers.forget(peer)
    with pytest.raises(ServerLostError, match="the server that made a tensor was lost"):
        loop.run(servers.find((2, 2)))
    with pytest.raises(ServerLostError):
        loop.run(servers.find((9, 9)))
