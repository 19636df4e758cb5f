"""The flags of a server that others can reach, after NVIDIA's guidance; a role in, flags and reasons out.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/customization_guide/deploy.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from corntriton.deploy.site import GRPC_PORT, HTTP_PORT, METRICS_PORT, Role

MANAGEMENT = ("shared-memory", "model-config", "model-repository", "statistics", "trace", "logging")
"""What clients of a model never need; health, metadata and inference stay open."""
ADMIN_HEADER = "corntriton-admin"
"""The header that carries the secret, over gRPC behind `triton-grpc-protocol-`."""

# Objects that gRPC keeps for reuse: of requests at once, and of the responses of a stream. The second has
# no bound of its own, so that a client who reads slowly could fill the memory.
_POOL, _RESPONSE_POOL = 64, 64


@dataclass(frozen=True)
class Flag:
    """A flag as it is written, `--` included; `$token` stands for the secret."""

    text: str
    why: str


def server_flags(role: Role) -> Iterator[Flag]:
    """All but the repository."""
    yield Flag(f"--http-port={HTTP_PORT}", "for clients, health and readiness")
    yield Flag(f"--grpc-port={GRPC_PORT}", "for clients, and for streams")
    yield Flag(f"--metrics-port={METRICS_PORT}", "for Prometheus")
    for text in role.manifest.tritonserver_flags:
        yield Flag(text, "what the build needs")
    yield from _secure(role)
    yield Flag(f"--exit-timeout-secs={role.exit_timeout_s}", "the longest deadline: requests may end first")


def _secure(role: Role) -> Iterator[Flag]:
    yield Flag("--model-control-mode=none", "whoever may load models may run code: nobody may")
    yield Flag("--exit-on-error=true", "a model that does not load is a server that does not start")
    yield Flag("--strict-readiness=true", "ready only when every model is")
    if "vllm" not in role.backends:  # whose ports are what its model.py fills in
        yield Flag("--disable-auto-complete-config", "configs are whole; nothing is guessed from a file")
    yield Flag("--allow-client-shm=false", "clients map nothing into the server's memory")
    apis = ",".join(MANAGEMENT)
    yield Flag(f'"--http-restricted-api={apis}:{ADMIN_HEADER}=$token"', "management only with the secret")
    yield Flag(f'"--grpc-restricted-protocol={apis}:{ADMIN_HEADER}=$token"', "the same over gRPC")
    yield Flag("--allow-sagemaker=false", "no interface that nobody asked for")
    yield Flag("--allow-vertex-ai=false", "nor this one")
    yield Flag("--trace-config=level=OFF", "traces hold what requests hold")
    yield Flag(f"--grpc-infer-allocation-pool-size={_POOL}", "as many requests keep their memory")
    yield Flag(f"--grpc-max-response-pool-size={_RESPONSE_POOL}", "a stream that is read slowly is bounded")
