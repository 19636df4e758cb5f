from __future__ import annotations

import json
from pathlib import Path

import pytest

from corntriton.errors import UserError
from corntriton.serving.deployment import read_deployment, read_nodes


def test_a_bare_repository_offers_all_its_models(echo_repository: Path) -> None:
    deployment = read_deployment(echo_repository)
    assert deployment.endpoints == ("echo", "spell")
    assert deployment.models == {"echo": "model", "spell": "model"}
    assert deployment.probes == deployment.flags == ()


def test_a_folder_that_is_no_repository_is_the_users_fault(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="corntriton build"):
        read_deployment(tmp_path)


def test_a_build_for_several_nodes_is_read_node_by_node(tmp_path: Path) -> None:
    made = {"models": [], "tritonserver_flags": [], "endpoints": ["m"], "probes": []}
    nodes = {
        node: {**made, "role": role, "calls": calls}
        for node, role, calls in (("a", "a", ["b"]), ("b", "b", ["a"]))
    }
    for node, manifest in nodes.items():
        (tmp_path / node).mkdir()
        (tmp_path / node / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "manifest.json").write_text(json.dumps({**made, "nodes": nodes}))
    found = read_nodes(tmp_path)
    assert {node: (each.role, each.calls) for node, each in found.items()} == {
        "a": ("a", ("b",)),
        "b": ("b", ("a",)),
    }
    with pytest.raises(UserError, match="serve each on its node: corntriton serve"):
        read_deployment(tmp_path)


def test_any_other_folder_is_one_node_without_a_name(echo_repository: Path) -> None:
    assert read_nodes(echo_repository) == {"": read_deployment(echo_repository)}
