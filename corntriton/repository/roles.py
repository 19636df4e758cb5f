"""Sorts a plan's nodes into roles: what each serves in, nodes that serve the same out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from corntriton.repository.units import Unit


@dataclass(frozen=True)
class Role:
    """A sort of server.

    Attributes:
        name: Its first node in the alphabet.
        nodes: Those that have it, sorted.
        units: What each of them serves; the comments are the first node's.
    """

    name: str
    nodes: tuple[str, ...]
    units: tuple[Unit, ...]


def roles_of(nodes: Mapping[str, Sequence[Unit]]) -> list[Role]:
    """The roles, by name.

    Args:
        nodes: What each node serves.
    """
    found: list[tuple[list[Unit], list[str]]] = []
    for node, units in sorted(nodes.items()):
        bare = [replace(unit, reasons=()) for unit in units]
        alike = next((others for its_units, others in found if its_units == bare), None)
        if alike is None:
            found.append((bare, [node]))
        else:
            alike.append(node)
    return [Role(names[0], tuple(names), tuple(nodes[names[0]])) for _, names in found]
