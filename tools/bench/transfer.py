"""What bench_transfer.py compares: servers that share no memory, and a process that sends over a socket.

Each server has the transfer model and a directory of shared memory of its own. This process takes part in all
of them, as components would: it makes the tensors on the source, and reads on the targets what has come.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import shutil
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from tritonclient.grpc.aio import InferenceServerClient

from corntriton.repository import transfer_model
from corntriton.repository.config import make_config
from corntriton.repository.packing import runtime_archive
from corntriton.repository.templates import Templates
from corntriton.runtime.remote.addresses import VARIABLE
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.regions import DIRECTORY_VARIABLE
from corntriton.runtime.tensors import Array
from corntriton.runtime.transfer.client import Peer
from corntriton.runtime.transfer.nixl import TRANSPORT_VARIABLE
from corntriton.runtime.transfer.settings import MODEL, TransferSettings
from corntriton.serving.deployment import Deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.ports import FREE_PORTS, choose_ports
from corntriton.serving.server import Server

# The least that holds the largest tensor twice, the one that goes and the one that comes.
_ARENA_BYTES = 160 * 2**20
_TIMEOUT_US = 60_000_000
_SIZE = struct.Struct("=Q")
_HOST = "127.0.0.1"
# By contestant, what its target has in its environment. On one machine UCX would find shorter ways than TCP,
# and take interfaces that others remove meanwhile.
TARGETS = {
    "grpc": {TRANSPORT_VARIABLE: "grpc"},
    "nixl": {"UCX_TLS": "tcp", "UCX_NET_DEVICES": "lo"},
}


def content(nbytes: int) -> Array:
    """What is sent, the same in every process."""
    return np.random.default_rng(nbytes).integers(0, 256, nbytes, np.uint8)


class Contestants:
    """All of them, ready.

    Attributes:
        names: `tcp`, `grpc` and, where it is installed, `nixl`.
    """

    def __init__(
        self, source: SharedMemory, targets: Mapping[str, tuple[Peer, SharedMemory]], run: Run, copy: Copy
    ) -> None:
        self.names = ["tcp", *targets]
        self._source = source
        self._targets = targets
        self._run = run
        self._copy = copy

    def measure(self, name: str, nbytes: int) -> tuple[float, bool]:
        """How many seconds it takes until the tensor lies where it is wanted, and whether it is the same."""
        expected = content(nbytes)
        if name == "tcp":
            begin_s = time.perf_counter()
            came = self._copy(nbytes)
            return time.perf_counter() - begin_s, bool((came == expected).all())
        peer, memory = self._targets[name]
        owned = self._source.owner.enter()
        ref = self._source.arena.put(expected, owned.tag)
        begin_s = time.perf_counter()
        lease, (local,) = self._run(peer.bring(None, [ref], _TIMEOUT_US))
        seconds = time.perf_counter() - begin_s
        right = bool((memory.read(local) == expected).all())
        self._run(peer.end([lease]))
        owned.end()
        return seconds, right


Run = Callable[[Coroutine[Any, Any, Any]], Any]
Copy = Callable[[int], Array]


@contextmanager
def contestants(sizes: list[int]) -> Iterator[Contestants]:
    """Starts all of them; nothing is left of them."""
    with ExitStack() as stack:
        loop = stack.enter_context(contextlib.closing(asyncio.new_event_loop()))
        run = loop.run_until_complete
        copy = stack.enter_context(_sender(sizes))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = {name: choose_ports(FREE_PORTS, _HOST) for name in ("source", *TARGETS)}
        servers = ",".join(f"{name}={_HOST}:{each.grpc}" for name, each in ports.items())
        memories, peers = {}, {}
        for name, each in ports.items():
            directory = stack.enter_context(_directory())
            memories[name] = SharedMemory(_ARENA_BYTES, n_requests=8, n_slots=64, directory=directory)
            stack.callback(memories[name].close)
            variables = {
                DIRECTORY_VARIABLE: str(directory),
                VARIABLE: servers,
                **TARGETS.get(name, TARGETS["nixl"]),
            }
            launcher = find_launcher()
            launcher = replace(launcher, environment={**launcher.environment, **variables})
            deployment = Deployment(_repository(folder / name, name), (), {MODEL: "transfer"}, (), ())
            stack.enter_context(Server(deployment, launcher, ports=each))
            client = run(_connect(f"{_HOST}:{each.grpc}"))
            stack.callback(lambda client=client: run(client.close()))
            peers[name] = Peer(f"{_HOST}:{each.grpc}", client)
        wanted = [name for name in TARGETS if name in run(peers[name].who()).transports]
        yield Contestants(
            memories["source"], {name: (peers[name], memories[name]) for name in wanted}, run, copy
        )


def _repository(folder: Path, role: str) -> Path:
    settings = TransferSettings(role, _ARENA_BYTES)
    transfer_model.write(settings, folder / MODEL / "1", runtime_archive())
    config = make_config(Templates(), transfer_model.TEMPLATE, transfer_model.config_values())
    (folder / MODEL / "config.pbtxt").write_text(config.text)
    return folder


async def _connect(address: str) -> InferenceServerClient:
    return InferenceServerClient(address)


@contextmanager
def _directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="bench-transfer-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def _sender(sizes: list[int]) -> Iterator[Copy]:
    """Another process that holds the bytes and sends what it is asked for."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_send, args=(theirs, sizes), daemon=True)
    process.start()
    with socket.create_connection((_HOST, ours.recv())) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        memory = np.zeros(max(sizes), np.uint8)

        def copy(nbytes: int) -> Array:
            connection.sendall(_SIZE.pack(nbytes))
            view, n_come = memory.data, 0
            while n_come < nbytes:
                n_come += connection.recv_into(view[n_come:nbytes])
            return memory[:nbytes]

        yield copy
    process.join()


def _send(port: Connection, sizes: list[int]) -> None:
    contents = {size: content(size) for size in sizes}
    with socket.create_server((_HOST, 0)) as listening:
        port.send(listening.getsockname()[1])
        connection, _ = listening.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while asked := connection.recv(_SIZE.size):
            connection.sendall(contents[_SIZE.unpack(asked)[0]].data)
