from __future__ import annotations

import socket
from dataclasses import astuple

import pytest

from corntriton.errors import UserError
from corntriton.serving.ports import FREE_PORTS, Ports, choose_ports

HOST = "127.0.0.1"


def test_free_ports_are_three_different_ones_that_can_be_bound() -> None:
    ports = astuple(choose_ports(FREE_PORTS, HOST))
    assert len(set(ports)) == 3
    for port in ports:
        with socket.socket() as trial:
            trial.bind((HOST, port))


def test_given_ports_are_kept_and_only_zeros_are_chosen() -> None:
    given = choose_ports(FREE_PORTS, HOST)
    ports = choose_ports(Ports(given.http, 0, given.metrics), HOST)
    assert (ports.http, ports.metrics) == (given.http, given.metrics)
    assert ports.grpc not in (0, given.http, given.metrics)


def test_every_given_port_that_is_taken_is_reported() -> None:
    with socket.socket() as first, socket.socket() as second:
        for taken in (first, second):
            taken.bind((HOST, 0))
            taken.listen()
        wanted = Ports(first.getsockname()[1], second.getsockname()[1], 0)
        with pytest.raises(UserError) as caught:
            choose_ports(wanted, HOST)
    assert [problem.file for problem in caught.value.problems] == ["--http-port", "--grpc-port"]
    assert "--free-ports" in str(caught.value)


def test_ports_of_further_servers_are_greater_unless_any_will_do() -> None:
    assert Ports(8000, 0, 8002).shifted(10) == Ports(8010, 0, 8012)


def test_ports_that_others_are_to_have_are_not_chosen() -> None:
    first = choose_ports(FREE_PORTS, HOST)
    for _ in range(20):
        assert not {*astuple(choose_ports(FREE_PORTS, HOST, astuple(first)))} & {*astuple(first)}
