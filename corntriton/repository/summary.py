"""What `corntriton build` tells people about a build."""

from __future__ import annotations

from pathlib import Path as File

from rich.console import Console
from rich.table import Table
from rich.text import Text

from corntriton.repository.manifest import Manifest, ModelEntry

_DEVICES = {"KIND_CPU": "CPU", "KIND_GPU": "every GPU", "KIND_MODEL": "chosen by vLLM"}


def show(manifest: Manifest, out: File, console: Console) -> None:
    """Prints the models, what pip has to install, what deserves attention, and what comes next."""
    for node, its_manifest in manifest.nodes.items():
        console.print(Text(node, "bold"))
        show(its_manifest, out / node, console)
    if manifest.nodes:
        if all(each.backends == "embedded" for each in manifest.nodes.values()):
            here = f"corntriton serve {out}"
            console.print(
                Text.assemble("next: ", (here, "bold"), ", for all of them on this machine"), soft_wrap=True
            )
        return
    table = Table("Triton model", "for", "serves", "instances", "device", box=None, pad_edge=False)
    for model in manifest.models:
        table.add_row(*_row(model))
    console.print(table)
    for note in manifest.notes:
        console.print(Text.assemble(("note: ", "yellow"), note), soft_wrap=True)
    if manifest.requirements:
        console.print(Text(f"needs: pip install {' '.join(manifest.requirements)}"), soft_wrap=True)
    nbytes = sum(each.nbytes for each in manifest.weights if not each.linked)
    counted = (
        f"{len(manifest.models)} models, {nbytes / 1e6:.1f} MB of weights, --backends {manifest.backends}"
    )
    console.print(Text.assemble(("✓ ", "green"), (str(out), "bold"), f": {counted}"), soft_wrap=True)
    console.print(Text.assemble("next: ", (_next(manifest, out), "bold")), soft_wrap=True)


def _row(model: ModelEntry) -> tuple[str, ...]:
    if model.device is None:
        return model.name, model.kind, ", ".join(model.serves), "", ""
    if model.gpus:
        named = f"GPU {', '.join(map(str, model.gpus))}"
        return model.name, model.kind, ", ".join(model.serves), str(model.instances), named
    device = "+".join(_DEVICES.get(kind, kind) for kind in model.device.split("+"))
    return model.name, model.kind, ", ".join(model.serves), str(model.instances), device


def _next(manifest: Manifest, out: File) -> str:
    roles = sorted({manifest.role, *manifest.calls} - {""})
    servers = f' --servers "{",".join(f"{role}=HOST:PORT" for role in roles)}"' if roles else ""
    return f"corntriton serve {out}{servers}" + (" --print-command" if manifest.backends == "ngc" else "")
