"""A plan that spreads the model of bench/soaked over three nodes, any one of which may be away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from corntriton.planner.plan import Place, Plan, Stop
from corntriton.spec.load import LoadedModel
from tests.repository.hand_plans import NODES, executor, hand_plan

# Where each component is on the routes that avoid the first, the second and the third node.
# Every tensor crosses between nodes on one route at least.
_ROUTES = {
    "make": "caa",
    "scramble": "bab",
    "mirror": "ccb",
    "digest": "bcb",
    "turn": "caa",
    "bind": "bcb",
}


def spread(models: Sequence[LoadedModel]) -> Plan:
    """The plan."""
    at = {f"soaked/{name}": [NODES["abc".index(each)] for each in nodes] for name, nodes in _ROUTES.items()}
    executors = [
        executor(name, [name], [Place(node, (index,)) for node in sorted(set(nodes))])
        for index, (name, nodes) in enumerate(at.items())
    ]
    ways: list[tuple[float, Mapping[str, Stop]]] = [
        (1 / 3, {name: Stop(name, nodes[avoided]) for name, nodes in at.items()})
        for avoided in range(len(NODES))
    ]
    return hand_plan(models, executors, ways)
