"""Servers on the real embedded tritonserver; after every test no process and no shared memory is left."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path

import pytest
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from corntriton.serving import server as server_module
from corntriton.serving.client import Client, make_request
from corntriton.serving.lifetime import ServerError
from corntriton.serving.ports import FREE_PORTS, Ports, choose_ports
from corntriton.serving.server import Server
from corntriton.serving.traces import traces_of

pytestmark = pytest.mark.server
MakeServer = Callable[..., Server]


def process_of(server: Server, word: str) -> int:
    [trace] = [trace for trace in traces_of(server.id) if trace.startswith("process ") and word in trace]
    return int(trace.split()[1].rstrip(":"))


def test_it_answers_over_both_protocols_when_entered_and_is_gone_when_left(
    make_server: MakeServer, echo_repository: Path
) -> None:
    loaded: list[str] = []
    with make_server(echo_repository, on_loaded=loaded.append) as server:
        assert sorted(loaded) == ["echo", "spell"]
        for url, protocol in ((server.http_url, "http"), (server.grpc_url, "grpc")):
            with Client(url, protocol) as client:
                assert client.infer("echo", {"x": ["hello"]})["y"].tolist() == [[b"hello"]]
        assert len(traces_of(server.id)) == 6  # warden, server, two stubs with a region each
    assert traces_of(server.id) == []
    for port in astuple(server.ports):
        with socket.socket() as trial:
            assert trial.connect_ex(("127.0.0.1", port)) != 0


def test_the_interpreter_of_the_components_is_the_one_that_was_chosen(echo_server: Server) -> None:
    assert any(line.text == f"initialized by {os.path.realpath(os.sys.prefix)}" for line in echo_server.log)


def test_a_model_that_fails_to_load_is_named_with_its_reason(
    make_server: MakeServer, write_models: Callable[..., Path], tmp_path: Path
) -> None:
    server = make_server(write_models(tmp_path, "broken", "echo"))
    with pytest.raises(ServerError, match="broken: Internal: ValueError: no weights here"):
        server.start()
    assert traces_of(server.id) == []


def test_when_another_process_takes_a_free_port_others_are_chosen(
    make_server: MakeServer, echo_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        unlucky = replace(choose_ports(FREE_PORTS, "127.0.0.1"), metrics=taken)
        choices = iter([unlucky, choose_ports(FREE_PORTS, "127.0.0.1")])
        monkeypatch.setattr(server_module, "choose_ports", lambda *_: next(choices))
        with make_server(echo_repository) as server:
            assert taken not in astuple(server.ports)
    assert traces_of(server.id) == []


def test_a_given_port_that_is_taken_before_the_server_binds_it_is_reported(
    make_server: MakeServer, echo_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "choose_ports", lambda wanted, host: wanted)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ports = choose_ports(Ports(0, 0, 0), "127.0.0.1")
        server = make_server(echo_repository, ports=Ports(other.getsockname()[1], ports.grpc, ports.metrics))
        with pytest.raises(ServerError, match="already in use"):
            server.start()
    assert traces_of(server.id) == []


def test_shared_memory_that_triton_leaves_for_a_killed_stub_goes_with_the_server(
    make_server: MakeServer, echo_repository: Path
) -> None:
    with make_server(echo_repository, exit_timeout_s=1) as server, Client(server.http_url) as client:
        os.kill(process_of(server, "echo/1/model.py"), signal.SIGKILL)
        # Triton does not start it again, and after this never gives up its memory.
        with pytest.raises(InferenceServerException, match="not healthy"):
            client.infer("echo", {"x": ["lost"]})
    assert traces_of(server.id) == []


def test_a_killed_tritonserver_is_reported_and_leaves_nothing(
    make_server: MakeServer, echo_repository: Path
) -> None:
    with make_server(echo_repository) as server:
        os.kill(process_of(server, "bin/tritonserver --id"), signal.SIGKILL)
        with pytest.raises(ServerError, match="status 137"):
            server.wait()
        assert traces_of(server.id) == []


def test_a_component_that_hangs_does_not_keep_the_server_from_stopping(
    make_server: MakeServer,
    write_models: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_module, "_KILL_GRACE_S", 1.0)
    hang = write_models(tmp_path, "hang")
    with make_server(hang, exit_timeout_s=1) as server, Client(server.grpc_url, "grpc") as client:
        failed = threading.Event()

        def note(result: object, error: object) -> None:
            failed.set()

        client.triton.async_infer("hang", callback=note, **make_request(tritonclient.grpc, {"x": ["stuck"]}))
        server.stop()
        assert failed.wait(30)
    assert traces_of(server.id) == []


def test_too_little_time_to_get_ready_is_reported(make_server: MakeServer, echo_repository: Path) -> None:
    server = make_server(echo_repository, ready_timeout_s=0.2)
    with pytest.raises(ServerError, match="not ready after"):
        server.start()
    assert traces_of(server.id) == []


def test_a_warden_that_hangs_leaves_nothing_either(
    make_server: MakeServer, echo_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_KILL_GRACE_S", 0.2)
    server = make_server(echo_repository, exit_timeout_s=1, own_memory=True)
    with server:
        os.kill(process_of(server, "warden.py"), signal.SIGSTOP)
    assert traces_of(server.id) == []
