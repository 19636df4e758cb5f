"""Real tritonservers that share no memory: each has the transfer model and a directory of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import pytest
from tritonclient.grpc.aio import InferenceServerClient

from corntriton.resources import resource_dir
from corntriton.runtime.remote.addresses import VARIABLE
from corntriton.runtime.shm.layout import ArenaId
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.owner import OwnedRequest
from corntriton.runtime.shm.regions import DIRECTORY_VARIABLE
from corntriton.runtime.transfer.client import Peer
from corntriton.runtime.transfer.settings import MODEL, TransferSettings
from corntriton.serving.deployment import Deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.ports import FREE_PORTS, Ports, choose_ports
from corntriton.serving.server import Server
from corntriton.serving.traces import processes_of

MB = 1 << 20
ARENA_BYTES = 16 * MB
MAX_LEASES = 8
TIMEOUT_US = 20_000_000
_T = TypeVar("_T")


class Node:
    """A server's shared memory, in which this process takes part, and how to reach the server.

    Attributes:
        directory: Where its arenas lie.
        memory: This process's own on that node: makes tensors, and reads what was brought.
        address: Of the server's gRPC endpoint.
        server: It.
    """

    server: Server

    def __init__(self, ports: Ports, repository: Path) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="test-node-"))
        self.memory = SharedMemory(128 * MB, n_requests=64, n_slots=256, directory=self.directory)
        self.address = f"127.0.0.1:{ports.grpc}"
        self._ports = ports
        self._repository = repository

    def start(self, servers: str, variables: Mapping[str, str]) -> Server:
        """The server, not started yet."""
        launcher = find_launcher()
        environment = {
            **launcher.environment,
            DIRECTORY_VARIABLE: str(self.directory),
            VARIABLE: servers,
            **variables,
        }
        deployment = Deployment(self._repository, (), {MODEL: "transfer"}, (), ())
        return Server(deployment, replace(launcher, environment=environment), ports=self._ports)

    def talk(self, conversation: Callable[[Peer], Awaitable[_T]]) -> _T:
        """Runs a coroutine that speaks to the server."""

        async def run() -> _T:
            async with InferenceServerClient(self.address) as client:
                return await conversation(Peer(self.address, client))

        return asyncio.run(run())

    def put(self, array: Any) -> tuple[bytes, OwnedRequest]:
        """The ref of a tensor on this node, and the request that it belongs to."""
        owned = self.memory.owner.enter()
        return self.memory.arena.put(array, owned.tag), owned

    async def arena_has(self, nbytes: int) -> None:
        """Waits until the server's arena has grown so far: room is made when the first bytes have come."""
        ours = self.memory.arena._backing.arena
        others = {ArenaId.parse(path.name) for path in self.directory.iterdir()} - {ours}
        (region,) = map(self.memory.regions.find, others)
        while region.capacity_bytes < nbytes:
            await asyncio.sleep(0.0005)

    def signal(self, number: signal.Signals) -> None:
        """Sends it to all processes of the server."""
        for pid in processes_of(self.server.id):
            os.kill(pid, number)

    def close(self) -> None:
        self.memory.close()
        left = [path.name for path in self.directory.iterdir()]
        shutil.rmtree(self.directory)
        assert left == []


@pytest.fixture(scope="session")
def write_transfer_model(tmp_path_factory: pytest.TempPathFactory, runtime_zip: Path) -> Callable[..., Path]:
    """Writes a repository with the transfer model, as `build` does."""

    def write(settings: TransferSettings) -> Path:
        repository = tmp_path_factory.mktemp("repository")
        version = repository / MODEL / "1"
        version.mkdir(parents=True)
        shutil.copy(runtime_zip, version)
        shutil.copy(resource_dir("python_backends") / "transfer" / "model.py", version)
        settings.save(version / "transfer.json")
        template = (resource_dir("model_repository_templates") / "transfer.config.pbtxt.j2").read_text()
        config = template.replace("{{ name | quote }}", f'"{MODEL}"').replace("{{ name }}", MODEL)
        (version.parent / "config.pbtxt").write_text(config)
        return repository

    return write


@pytest.fixture(scope="session")
def nodes_of(write_transfer_model: Callable[..., Path]) -> Callable[..., Any]:
    """Starts a server for each role, as a context."""

    @contextmanager
    def start(
        *roles: str,
        arena_bytes: int = ARENA_BYTES,
        max_leases: int = MAX_LEASES,
        lease_s: float = 10.0,
        environments: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    ) -> Iterator[Mapping[str, Node]]:
        ports = [choose_ports(FREE_PORTS, "127.0.0.1") for _ in roles]
        repositories = [
            write_transfer_model(TransferSettings(role, arena_bytes, max_leases, lease_s)) for role in roles
        ]
        nodes = dict(zip(roles, map(Node, ports, repositories), strict=True))
        servers = ",".join(f"{role}={node.address}" for role, node in nodes.items())
        with ExitStack() as stack:
            for node in nodes.values():
                stack.callback(node.close)
            for role, node in nodes.items():
                node.server = stack.enter_context(node.start(servers, environments.get(role, {})))
            yield nodes

    return start


@pytest.fixture(scope="module")
def nodes(nodes_of: Callable[..., object]) -> Iterator[Mapping[str, Node]]:
    with nodes_of("large", "small") as started:
        yield started


@pytest.fixture
def source(nodes: Mapping[str, Node]) -> Node:
    return nodes["large"]


@pytest.fixture
def target(nodes: Mapping[str, Node]) -> Iterator[Node]:
    """Where tensors are brought to; afterwards nothing of them is left."""
    yield nodes["small"]
    filled, owned = nodes["large"].put(np.ones(ARENA_BYTES, np.uint8))

    async def fill(peer: Peer) -> None:
        lease, _ = await peer.bring(None, [filled], TIMEOUT_US)
        await peer.end([lease])

    nodes["small"].talk(fill)
    owned.end()


def bring(target: Node, *refs: bytes, timeout_us: int = TIMEOUT_US) -> list[object]:
    """Has the server bring them and gives copies of what came."""

    async def run(peer: Peer) -> list[object]:
        lease, local = await peer.bring(None, refs, timeout_us)
        try:
            return [np.array(target.memory.read(ref)) for ref in local]
        finally:
            await peer.end([lease])

    return target.talk(run)
