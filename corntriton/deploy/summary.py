"""What `corntriton deploy` tells people: what was written, and what to do with it."""

from __future__ import annotations

from pathlib import Path as File

from rich.console import Console
from rich.table import Table
from rich.text import Text

from corntriton.deploy.command import Deployed
from corntriton.deploy.helm import CHART
from corntriton.deploy.image import image_name


def show(deployed: Deployed, out: File, console: Console) -> None:
    """Prints the roles and the commands that come next."""
    table = Table("role", "servers", "GPUs", "/dev/shm", "binds", box=None, pad_edge=False)
    for role in deployed.site.roles:
        shm, binds = f"{role.shared_memory.mebibytes} MiB", ", ".join(role.bottleneck.models)
        table.add_row(
            role.name, str(role.replicas), str(role.gpus), shm, binds if role.nodes else "not known"
        )
    console.print(table)
    counted = f"{len(deployed.files)} files for {deployed.target}"
    console.print(Text.assemble(("✓ ", "green"), (str(out), "bold"), f": {counted}"), soft_wrap=True)
    for command in next_commands(deployed, out):
        console.print(Text.assemble("next: ", (command, "bold")), soft_wrap=True)


def next_commands(deployed: Deployed, out: File) -> list[str]:
    """What to run; for compose on the machine of each role."""
    site = deployed.site
    if deployed.target == "compose":
        return [f"docker compose --project-directory {out / site.place_of(role)} up" for role in site.roles]
    below = "images" if deployed.target == "helm" else ""
    commands = [
        f"docker build --build-context repository={role.repository} --tag {image_name(site, role)}"
        f" {out / site.place_of(role, below)}"
        for role in site.roles
    ]
    return [*commands, f"helm install NAME {out / CHART}"] if deployed.target == "helm" else commands
