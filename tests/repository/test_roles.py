"""Nodes of a plan sorted into roles, and how each role's servers share out the requests that come to them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corntriton.errors import Problems
from corntriton.repository.roles import roles_of
from corntriton.repository.served import serve_components
from corntriton.repository.units import Unit, planned
from tests.repository.crossing import crossing_models, twins
from tests.repository.hand_plans import NODES


def units_of() -> dict[str, list[Unit]]:
    """What the nodes of the plan `twins` serve."""
    models = crossing_models()
    plan = twins(models)
    served = {each.name: each for each in serve_components(models, "embedded", Problems())}
    return {node: planned(plan, node, served, "embedded") for node in NODES}


def test_nodes_that_serve_the_same_are_one_role_though_their_comments_differ() -> None:
    units = units_of()
    units["n-2"] = [replace(unit, reasons=("another rate",)) for unit in units["n-2"]]
    found = {role.name: role.nodes for role in roles_of(units)}
    assert found == {"n-0": ("n-0",), "n-1": ("n-1", "n-2")}


@pytest.mark.parametrize("change", [{"count": 2}, {"gpus": (1,)}, {"executor": "another"}])
def test_nodes_that_differ_in_anything_else_are_not(change: dict[str, object]) -> None:
    units = units_of()
    units["n-2"][0] = replace(units["n-2"][0], **change)
    assert [role.name for role in roles_of(units)] == ["n-0", "n-1", "n-2"]


def test_a_role_is_named_after_its_first_node_wherever_that_stands_in_the_plan() -> None:
    units = units_of()
    renamed = {"z": units["n-1"], "a": units["n-2"], "m": units["n-0"]}
    assert [(role.name, role.nodes) for role in roles_of(renamed)] == [("a", ("a", "z")), ("m", ("m",))]
