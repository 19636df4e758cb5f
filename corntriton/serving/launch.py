"""The command and the environment that start a tritonserver for a deployment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from corntriton.serving.deployment import Deployment
from corntriton.serving.embedded import check_embedded, embedded_environment, prepare_backends
from corntriton.serving.find import Installation, find_tritonserver
from corntriton.serving.interpreter import ask_interpreter
from corntriton.serving.machine import has_gpu
from corntriton.serving.ports import Ports


@dataclass(frozen=True)
class Launcher:
    """A tritonserver that has been found and checked, and how to start it.

    Attributes:
        installation: The server.
        environment: The whole environment to start it in.
        flags: What this installation needs in any case.
    """

    installation: Installation
    environment: Mapping[str, str]
    flags: tuple[str, ...]

    def command(
        self, deployment: Deployment, ports: Ports, host: str, server_id: str, exit_timeout_s: float
    ) -> list[str]:
        """What to execute; the server's shared memory is named after `server_id`."""
        return [
            str(self.installation.binary),
            f"--id={server_id}",
            f"--model-repository={deployment.repository}",
            *(f"--{kind}-address={host}" for kind in ("http", "grpc", "metrics")),
            *_port_flags(ports),
            f"--exit-timeout-secs={round(exit_timeout_s)}",
            f"--backend-config=python,shm-region-prefix-name={server_id}-",
            *self.flags,
            *deployment.flags,
        ]


def find_launcher(tritonserver: str | None = None, python: str | None = None) -> Launcher:
    """Finds the server and, for an embedded one, checks and prepares all that it needs.

    Args:
        tritonserver: The program to use, instead of the one found on PATH or in a wheel.
        python: The interpreter that the components run in; by default the one that runs corntriton.

    Raises:
        UserError: There is no server, or it would not work.
    """
    interpreter = ask_interpreter(python)
    installation = find_tritonserver(tritonserver, interpreter)
    flags = [] if has_gpu() else ["--allow-gpu-metrics=false"]
    environment = dict(os.environ)
    if python is not None or installation.embedded:
        environment["PATH"] = f"{interpreter.executable.parent}:{os.environ.get('PATH', os.defpath)}"
    if installation.embedded:
        check_embedded(installation, interpreter)
        environment |= embedded_environment(installation, interpreter)
        flags.append(f"--backend-directory={prepare_backends(installation, interpreter)}")
        flags.append(f"--cache-directory={installation.root / 'caches'}")
    return Launcher(installation, environment, tuple(flags))


def _port_flags(ports: Ports) -> list[str]:
    return [f"--http-port={ports.http}", f"--grpc-port={ports.grpc}", f"--metrics-port={ports.metrics}"]
