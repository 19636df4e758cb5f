"""How to serve a build from NVIDIA's container on this machine, for a try: a deployment in, a command out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from corntriton.deploy.backends import RELEASE, builds_engines, image
from corntriton.deploy.memory import shared_memory
from corntriton.deploy.reading import read_manifest
from corntriton.deploy.site import GRPC_PORT, HTTP_PORT, METRICS_PORT, USER_ID
from corntriton.errors import Problem, Problems, UserError
from corntriton.serving.deployment import MANIFEST, Deployment
from corntriton.serving.machine import has_gpu
from corntriton.serving.ports import Ports

_VLLM_BACKEND = re.compile(r'^backend: *"vllm"', re.MULTILINE)
# Of a model repository that no build describes.
_SHM_MIB = 2048


def docker_command(
    deployment: Deployment, ports: Ports, environment: Mapping[str, str] = MappingProxyType({})
) -> list[str]:
    """What to execute: as `corntriton serve` it listens on this machine alone, and may change nothing.

    For others to reach it, `corntriton deploy --to compose` shuts the management APIs too.

    Args:
        deployment: What to serve.
        ports: Where, on this machine.
        environment: More of the server's.
    """
    inside = (HTTP_PORT, GRPC_PORT, METRICS_PORT)
    published = zip((ports.http, ports.grpc, ports.metrics), inside, strict=True)
    return [
        *("docker", "run", "--rm", "--init", f"--user={USER_ID}:{USER_ID}", "--read-only", "--tmpfs=/tmp"),
        *("--cap-drop=ALL", "--security-opt=no-new-privileges", f"--shm-size={_shm_mib(deployment)}m"),
        *(["--gpus=all"] if has_gpu() else []),
        *(f"--publish=127.0.0.1:{outside}:{port}" for outside, port in published),
        *(f"--env={name}={value}" for name, value in environment.items()),
        f"--volume={deployment.repository}:/models:ro",
        image(("vllm",) if _needs_vllm(deployment) else (), RELEASE),
        *("tritonserver", "--model-repository=/models"),
        *deployment.flags,
    ]


def _shm_mib(deployment: Deployment) -> int:
    folder = deployment.repository.parent
    if not (folder / MANIFEST).is_file():
        return _SHM_MIB
    problems = Problems()
    manifest = read_manifest(folder, problems)
    problems.raise_if_any()
    if manifest is None:
        return _SHM_MIB
    if builds_engines(manifest):
        what = "has ONNX files of which TensorRT engines are built at the start"
        raise UserError([Problem(str(folder), "$", what, "serve it with: corntriton deploy --to compose")])
    return shared_memory(manifest, deployment.repository, gpus=1).mebibytes


def _needs_vllm(deployment: Deployment) -> bool:
    """Whether a model runs on the vLLM backend, which has an image of its own."""
    configs = deployment.repository.glob("*/config.pbtxt")
    return any(_VLLM_BACKEND.search(config.read_text(encoding="utf-8")) for config in configs)
