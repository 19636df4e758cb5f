"""What servers pass to each other: as the plan says it, and as their interfaces count it.

The plan knows the bytes of each edge of each request type's path, and the routes with their shares; what goes
from a stop on one node to a stop on another is traffic. Inputs and answers are not in a plan: a request
enters at the server that the balancer picks, and goes from there to where its first components are, and back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cluster.network import Counters
from corntriton.planner.demand import Demand
from corntriton.planner.plan import Plan, Route
from corntriton.record.path import Argument, Element, Input, Output
from corntriton.record.path import Path as RecordedPath

Alike = Mapping[str, Collection[str]]


@dataclass(frozen=True)
class Flow:
    """Bytes that a node sends to others and gets from them."""

    out: float = 0.0
    into: float = 0.0

    def __add__(self, other: Flow) -> Flow:
        return Flow(self.out + other.out, self.into + other.into)

    def times(self, factor: float) -> Flow:
        """So many of it."""
        return Flow(self.out * factor, self.into * factor)


def predicted(plan: Plan, requests: Mapping[str, int]) -> dict[str, Flow]:
    """Of the edges of the plan's routes, by node.

    Args:
        plan: The plan.
        requests: How many of each `model/type`.
    """
    flows: dict[str, Flow] = defaultdict(Flow)
    for demand in plan.demands:
        for route in plan.routes_of(demand.name):
            for node, flow in _of_route(demand, route).items():
                flows[node] += flow.times(requests.get(demand.name, 0) * route.share)
    return dict(flows)


def _of_route(demand: Demand, route: Route) -> dict[str, Flow]:
    flows: dict[str, Flow] = defaultdict(Flow)
    for edge in demand.edges:
        here, there = route.stops[edge.producer].node, route.stops[edge.consumer].node
        if here != there:
            flows[here] += Flow(out=edge.nbytes)
            flows[there] += Flow(into=edge.nbytes)
    return flows


def at_the_door(
    plan: Plan, path: RecordedPath, request_type: str, entered: str, sizes: Mapping[str, int], alike: Alike
) -> dict[str, Flow]:
    """Of one request's inputs and answers, by node.

    Args:
        plan: The plan.
        path: Of the request type.
        request_type: `model/type`.
        entered: The node at which the request came in.
        sizes: Bytes of its inputs and outputs by name.
        alike: The nodes that serve the same as each node: what they can do, a request does where it is.
    """
    flows: dict[str, Flow] = defaultdict(Flow)
    for route in plan.routes_of(request_type):
        for name, node, goes_in in _doors(path, route):
            if node not in alike[entered]:
                nbytes = sizes.get(name, 0) * route.share
                flows[node] += Flow(into=nbytes) if goes_in else Flow(out=nbytes)
                flows[entered] += Flow(out=nbytes) if goes_in else Flow(into=nbytes)
    return dict(flows)


def _doors(path: RecordedPath, route: Route) -> set[tuple[str, str, bool]]:
    """Each input and output, the node that takes or makes it, and whether it goes in."""
    nodes = {invocation.id: route.stops[invocation.id].node for invocation in path.invocations}
    takes = {
        (name, nodes[invocation.id], True)
        for invocation in path.invocations
        for argument in invocation.inputs.values()
        for name in _inputs_in(argument)
    }
    gives = {
        (name, nodes[argument.invocation], False)
        for name, argument in path.outputs.items()
        if isinstance(argument, Output)
    }
    return takes | gives


def _inputs_in(argument: Argument) -> list[str]:
    if isinstance(argument, Input):
        return [argument.name]
    return [argument.list] if isinstance(argument, Element) else []


def measured(before: Mapping[str, Counters], after: Mapping[str, Counters]) -> dict[str, Flow]:
    """Between two readings of all servers' interfaces."""
    return {name: Flow((each - before[name]).out, (each - before[name]).into) for name, each in after.items()}
