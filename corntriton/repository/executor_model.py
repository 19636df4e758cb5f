"""The Triton model of an executor of several components: its config, its folder, how it is called."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path as File
from typing import Any

from corntriton.errors import Problems
from corntriton.repository import component_model
from corntriton.repository.packing import pack_code, place_weights
from corntriton.repository.tensors import Tensor
from corntriton.repository.transports import arena_bytes, device_arena_bytes
from corntriton.repository.units import Unit
from corntriton.resources import resource_dir
from corntriton.runtime.settings import CALL, ERROR_OUTPUT, RESULT, ExecutorSettings, Target

TEMPLATE = "executor.config.pbtxt.j2"

# That one instance takes at once, whatever they visit: inside, each waits only for what it needs. A call that
# the instance left to Triton's queue would be in the way of all others there.
SLOTS = 256


def calls(unit: Unit) -> int:
    """Calls to one instance that visit the same members: so many that each has its next batch in time.

    Each is a thread that waits in the orchestrator.
    """
    wanted = 0
    for served in unit.members.values():
        batch = max(1, served.component.spec.batching.max_batch_size)
        wanted += batch if served.component.signature.streaming else 2 * batch
    return min(SLOTS, wanted)


def config_values(unit: Unit) -> dict[str, Any]:
    """What the template of an executor's config is rendered with."""
    return {
        "name": unit.name,
        "unit": unit,
        "members": [served.component for served in unit.members.values()],
        "users": sorted({model.name for served in unit.members.values() for model in served.users}),
        "inputs": [Tensor(CALL, "TYPE_UINT8", (-1,))],
        "outputs": [Tensor(RESULT, "TYPE_UINT8", (-1,)), Tensor(ERROR_OUTPUT, "TYPE_STRING", (1,))],
        "slots": SLOTS,
        "calls": calls(unit) * unit.instances,
    }


def target(unit: Unit, members: Mapping[str, str]) -> Target:
    """How an orchestrator calls it.

    Args:
        unit: The executor.
        members: The components of the calling model that live in it, with their serving names.
    """
    specs = {name: unit.members[serving].component.spec for name, serving in members.items()}
    return Target(
        unit.name,
        False,
        calls(unit) * unit.instances,
        idempotent=all(unit.members[serving].idempotent for serving in members.values()),
        tells_errors=True,
        members=dict(members),
        stateful_members=tuple(name for name, spec in specs.items() if spec.stateful),
    )


def weights(unit: Unit) -> Iterator[tuple[str, File, str]]:
    """Each file or folder of weights, as of a component, but in a folder for each member."""
    for name, served in unit.members.items():
        for path, source, what in component_model.weights(served):
            yield f"{name}/{path}", source, what


def write(unit: Unit, folder: File, runtime: bytes, link: bool) -> None:
    """Fills the model's version folder."""
    folder.mkdir(parents=True)
    for path, source, _ in weights(unit):
        place_weights(source, folder / path, link)
    shutil.copyfile(resource_dir("python_backends") / "component" / "model.py", folder / "model.py")
    (folder / "corntriton_runtime.zip").write_bytes(runtime)
    pack_code(_code(unit), folder / "code")
    settings = {name: component_model.settings(served) for name, served in unit.members.items()}
    users = [model for served in unit.members.values() for model in served.users]
    sizes = arena_bytes(users), device_arena_bytes(users)
    ExecutorSettings(unit.name, settings, SLOTS, unit.visible, *sizes).save(folder / "executor.json")


def note_clashes(unit: Unit, file: str, problems: Problems) -> None:
    """Notes code that cannot be in one process: other modules of the same name."""
    seen: dict[str, tuple[str, File]] = {}
    for name, served in unit.members.items():
        for source in served.component.code:
            other, first = seen.setdefault(source.name, (name, source))
            if not _same(first, source):
                what = f"has {other} and {name} in one process, with different modules {source.stem}"
                fix = "rename one of the modules, or keep the two apart: hints.separate in workload.yaml"
                problems.add(file, "$.executors", f"{unit.executor} {what}", fix)


def _code(unit: Unit) -> list[File]:
    """Of each name one; note_clashes has seen that they are the same."""
    found: dict[str, File] = {}
    for served in unit.members.values():
        for source in served.component.code:
            found.setdefault(source.name, source)
    return [*found.values()]


def _same(first: File, second: File) -> bool:
    if first == second:
        return True
    if first.is_file() and second.is_file():
        return filecmp.cmp(first, second, shallow=False)
    return False
