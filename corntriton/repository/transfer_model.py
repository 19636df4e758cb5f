"""The Triton model that brings tensors from other servers, on each server of a plan with several roles."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path as File
from typing import Any

from corntriton.repository.roles import Role
from corntriton.repository.served import streams
from corntriton.repository.transports import arena_bytes
from corntriton.resources import resource_dir
from corntriton.runtime.transfer.settings import MODEL, TransferSettings
from corntriton.spec.load import LoadedModel

TEMPLATE = "transfer.config.pbtxt.j2"
# By which the processes of a server reach others; the server itself does not need it.
REQUIREMENT = "tritonclient[grpc]"
_MOST_LEASES = 1 << 16  # each is a line of the arena's file


def config_values() -> dict[str, Any]:
    """What the template of its config is rendered with."""
    return {"name": MODEL}


def settings(role: Role, roles: Iterable[Role], models: Sequence[LoadedModel]) -> TransferSettings:
    """What it reads when it starts: room for what the orchestrators of all servers hold.

    Twice: roles may get more servers than the plan has, and requests that ended may have work under way.

    Args:
        role: The server's.
        roles: All of them.
        models: What every server can be asked for.
    """
    n_servers = sum(len(each.nodes) for each in roles)
    held = sum(model.spec.max_in_flight * (2 if streams(model) else 1) for model in models)
    return TransferSettings(role.name, arena_bytes(models), min(_MOST_LEASES, 2 * n_servers * held))


def write(contents: TransferSettings, folder: File, runtime: bytes) -> None:
    """Fills the model's version folder."""
    folder.mkdir(parents=True)
    shutil.copyfile(resource_dir("python_backends") / "transfer" / "model.py", folder / "model.py")
    (folder / "corntriton_runtime.zip").write_bytes(runtime)
    contents.save(folder / "transfer.json")
