"""A build's chart as helm renders it, for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Render = Callable[..., list[dict[str, Any]]]
BUILDS = ["eight_gpus", "three_nodes", "crossing", "unplanned"]
# What the Prometheus operator adds to a cluster; without it, these objects are left out.
OPERATOR = ("--api-versions", "monitoring.coreos.com/v1")


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


def rules(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    [found] = of_kind(objects, "PrometheusRule").values()
    return [rule for group in found["spec"]["groups"] for rule in group["rules"]]
