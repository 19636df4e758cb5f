"""Tells the Triton models of a rehearsal what they stand in for: executors in, `standin.json` files out.

Nobody balances in a rehearsal: each request goes to a server where its route begins, which takes all of its
routes that begin there as often as the plan does, and no others.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path as File
from typing import Any

from corntriton.planner.curves import Library, Setting
from corntriton.planner.plan import Executor, Member, Plan
from corntriton.repository.server import REPOSITORY
from corntriton.resources import resource_dir
from corntriton.runtime.limits import calls_at_once
from corntriton.runtime.settings import OrchestratorSettings

ROLES = "standin.json"
# From the end of a batch to the beginning of one that waits: within a process, and by Triton's scheduler.
_WITHIN_S, _BY_TRITON_S = 0.5e-3, 2e-3


def write_roles(plan: Plan, build: File, slower: float, seed: int, journal: File) -> None:
    """Writes a role into the version folder of every executor's model.

    Args:
        plan: The plan.
        build: What was built from it for one node.
        slower: Real seconds for each second of the plan.
        seed: Of the variation of times.
        journal: The folder that takes the stand-ins' rows.
    """
    manifest = json.loads((build / "manifest.json").read_text(encoding="utf-8"))
    library = Library(plan.profiles.profiles)
    sites = {executor.name: number for number, executor in enumerate(plan.executors)}
    for model in manifest["models"]:
        if model["kind"] == "orchestrator":
            orchestrator = build / REPOSITORY / model["name"] / "1" / "orchestrator.json"
            _begin_here(orchestrator)
            _one_by_one(orchestrator)
        if model["executor"] is None:
            continue
        executor = plan.executor(model["executor"])
        role = {
            "site": sites[executor.name],
            "devices": executor.devices_per_instance,
            "slower": slower,
            "hand_over_s": _WITHIN_S if len(executor.members) > 1 else _BY_TRITON_S,
            "seed": seed,
            "journal": str(journal),
            "members": {each.component: _member(executor, each, library) for each in executor.members},
        }
        place = build / REPOSITORY / model["name"] / "1"
        (place / ROLES).write_text(json.dumps(role), encoding="utf-8")
        _go_on(place / "component.json")


def _begin_here(file: File) -> None:
    """Leaves the routes that begin on the server itself, where there are any."""
    settings = OrchestratorSettings.load(file)
    kept = {}
    for name, routes in settings.routes.items():
        first = settings.paths[name].invocations[0].id
        here = [0.0 if settings.targets[route.stops[first]].server else route.share for route in routes]
        total = sum(here)
        kept[name] = [
            replace(route, share=share / total) if total else route
            for route, share in zip(routes, here, strict=True)
        ]
    replace(settings, routes=kept).save(file)


def _one_by_one(file: File) -> None:
    """Lets no call of a whole path carry several requests: a stand-in for an llm takes them one by one.

    What it refuses would be called again one after the other, and the limit of calls is one for full ones.
    """
    settings = OrchestratorSettings.load(file)
    calls = sum(calls_at_once(target) for target in settings.targets.values() if not target.ensemble)
    targets = {
        name: replace(target, max_rows=1, max_in_flight=calls) if target.ensemble else target
        for name, target in settings.targets.items()
    }
    replace(settings, targets=targets).save(file)


def _go_on(settings: File) -> None:
    """Lets a stand-in that answers each request once still take requests in while others are under way.

    To the orchestrator it answers once, which is a plain call. Its host has to treat it as a stream of one
    chunk, or it would work in batches: so only the worker is told that it streams, and a shim of its own
    sends the chunk together with the end.

    Decoupled calls are avoided where nothing needs them, as they cost more: see runtime/remote/loopback.py.
    """
    if settings.exists():
        said = json.loads(settings.read_text(encoding="utf-8"))
        if said["artifact"].endswith(":Continuous") and not said["signature"]["streaming"]:
            said["signature"]["streaming"] = True
            settings.write_text(json.dumps(said), encoding="utf-8")
            shutil.copyfile(
                resource_dir("python_backends") / "standin" / "model.py", settings.parent / "model.py"
            )


def _member(executor: Executor, member: Member, library: Library) -> dict[str, Any]:
    cache = next((each for each in executor.caches if each.component == member.component), None)
    return {
        "timing": _timing(executor, member, library),
        "tensor_parallel": member.tensor_parallel,
        "copies": max(1, executor.devices_per_instance // member.tensor_parallel),
        "places": member.max_batch,
        "cache_bytes": cache.nbytes if cache else None,
        "work_bytes": cache.bytes_per_work if cache else 0.0,
    }


def _timing(executor: Executor, member: Member, library: Library) -> dict[str, Any]:
    setting = Setting(executor.device, member.tensor_parallel, member.precision)
    curve = library.curve(member.component, setting, member.beside)
    sizes = range(1, member.max_batch + 1)
    return {
        "works": curve.works,
        "rows": [[curve.latency_s(size, work) for work in curve.works] for size in sizes],
        "firsts": [curve.first_chunk_s(1, work) for work in curve.works],
        "spread": curve.spread(),
    }
