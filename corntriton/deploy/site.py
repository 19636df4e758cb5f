"""What is to be deployed: nodes that serve the same are one role; emitters read only this.

DIR ─reading─> Site ─ngc, compose, helm─> files by path ─command─> OUT
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as File

from corntriton.repository.manifest import Manifest

Files = Mapping[str, str]
"""Texts by their paths below OUT."""

# Triton's own ports, and the group and user that NVIDIA's images have for running it without root.
HTTP_PORT, GRPC_PORT, METRICS_PORT = 8000, 8001, 8002
USER_ID = 1000


@dataclass(frozen=True)
class Term:
    """A sort of process that takes shared memory: `count` of them, `each_bytes` at most."""

    what: str
    count: int
    each_bytes: int


@dataclass(frozen=True)
class SharedMemory:
    """How large /dev/shm has to be, and why."""

    terms: tuple[Term, ...]

    @property
    def nbytes(self) -> int:
        """The sum."""
        return sum(term.count * term.each_bytes for term in self.terms)

    @property
    def mebibytes(self) -> int:
        """The sum in MiB, rounded up."""
        return -(-self.nbytes // 2**20)


@dataclass(frozen=True)
class Bottleneck:
    """What a role runs out of first.

    Attributes:
        models: The Triton models that carry it out, and the ensembles that orchestrators call for paths
            which lead to them.
        queue_s: How long a call may wait for them, on average, before there should be more of the role.
        reasons: Why, as lines of a comment.
    """

    models: tuple[str, ...]
    queue_s: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class LatencyAlert:
    """What a request type was promised: `percentile` % of the requests in at most `seconds`."""

    model: str
    request_type: str
    percentile: float
    seconds: float


@dataclass(frozen=True)
class Role:
    """One sort of server.

    Attributes:
        name: A DNS label, unique in the site.
        server: What servers of other roles know it by; empty where no role calls another.
        nodes: The plan's nodes that have it; none without a plan.
        repository: The model repository that its servers load.
        manifest: Of its build.
        backends: The backends of Triton that it needs, sorted.
        builds_engines: It has ONNX files that become TensorRT engines when it starts.
        gpus: How many a server sees: they are numbered from 0, and the last one used is among them.
        shared_memory: Of a server.
        bottleneck: What binds first.
        request_types: `model/type` of those that may come here; all that the models know without a plan.
        latencies: What they were promised.
        exit_timeout_s: How long requests may take to end when a server stops.
        reasons: Why the plan has it, as lines of a comment.
    """

    name: str
    server: str
    nodes: tuple[str, ...]
    repository: File
    manifest: Manifest
    backends: tuple[str, ...]
    builds_engines: bool
    gpus: int
    shared_memory: SharedMemory
    bottleneck: Bottleneck
    request_types: tuple[str, ...]
    latencies: tuple[LatencyAlert, ...]
    exit_timeout_s: int
    reasons: tuple[str, ...]

    @property
    def replicas(self) -> int:
        """How many servers of it the plan has."""
        return max(1, len(self.nodes))

    @property
    def ready_urls(self) -> tuple[str, ...]:
        """What has to answer 200 for a server to be ready: itself, and all that its orchestrators call."""
        base = f"http://127.0.0.1:{HTTP_PORT}/v2"
        return (f"{base}/health/ready", *(f"{base}/models/{probe}/ready" for probe in self.manifest.probes))


@dataclass(frozen=True)
class Site:
    """All that is deployed.

    Attributes:
        folder: The build.
        release: NVIDIA's, such as 26.11.
        roles: At least one, by name in order.
        version: corntriton's that built it.
        digest: Of the build: equal for equal builds.
    """

    folder: File
    release: str
    roles: tuple[Role, ...]
    version: str
    digest: str

    @property
    def peers(self) -> str:
        """The form of CORNTRITON_SERVERS; empty where no role calls another."""
        called = [role for role in self.roles if role.server]
        return ",".join(f"{role.server}={';'.join([f'HOST:{GRPC_PORT}'] * role.replicas)}" for role in called)

    def place_of(self, role: Role, below: str = "") -> str:
        """Where a role's own files go: in a folder of its name where there are several roles."""
        parts = [below, role.name if len(self.roles) > 1 or below else ""]
        return "".join(f"{part}/" for part in parts if part)
