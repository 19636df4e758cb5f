"""What request types can expect before anything is simulated: a plan in, unloaded times out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from corntriton.planner.curves import Library
from corntriton.planner.demand import Demand, Edge
from corntriton.planner.latency import StageTime, unloaded
from corntriton.planner.plan import Plan, Predicted, Stop
from corntriton.planner.sizing import setting_of


def forecast(plan: Plan, multiple: float) -> dict[str, Predicted]:
    """By request type: planned rate, and unloaded times averaged over its routes."""
    library = Library(plan.profiles.profiles)
    found = {}
    for demand in plan.demands:
        first_s = done_s = 0.0
        for route in plan.routes_of(demand.name):
            stages = {
                i.id: _stage(plan, library, demand, i.id, route.stops[i.id]) for i in demand.invocations
            }
            first, done = unloaded(demand, stages, _transfer(plan, route.stops))
            first_s += route.share * first
            done_s += route.share * done
        streams = any(plan.components[demand.by_id[name].component].streaming for name in demand.answers)
        rate = demand.rate_hz * multiple
        found[demand.name] = Predicted(rate, done_s, first_s if streams else None)
    return found


def _stage(plan: Plan, library: Library, demand: Demand, invocation: str, stop: Stop) -> StageTime:
    executor = plan.executor(stop.executor)
    component, work = demand.by_id[invocation].component, demand.by_id[invocation].work.mean
    member = executor.member(component)
    curve = library.curve(component, setting_of(executor.device, member), member.beside)
    # Elements of a mapped invocation come at once: they fill batches, one after the other.
    elements = demand.by_id[invocation].elements
    whole, rest = divmod(elements, member.max_batch)
    run_s = whole * curve.latency_s(member.max_batch, work) + (curve.latency_s(rest, work) if rest else 0.0)
    first_s = curve.first_chunk_s(min(elements, member.max_batch), work)
    return StageTime(run_s, min(first_s, run_s))


def _transfer(plan: Plan, stops: Mapping[str, Stop]) -> Callable[[Edge], float]:
    classes = dict(plan.cluster.all_nodes())

    def seconds(edge: Edge) -> float:
        one, other = stops[edge.producer], stops[edge.consumer]
        if one == other or not edge.nbytes:
            return 0.0
        here, there = plan.cluster.nodes[classes[one.node]], plan.cluster.nodes[classes[other.node]]
        links = (here.local,) if one.node == other.node else (here.nic, there.nic)
        slowest = min(link.bytes_per_s for link in links)
        return edge.nbytes / slowest + max(link.latency_ms for link in links) / 1e3

    return seconds
