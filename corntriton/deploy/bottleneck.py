"""What a role runs out of first, and how long a call may wait for it; a plan and a manifest in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as File

from corntriton.deploy.packed import steps_of
from corntriton.deploy.site import Bottleneck
from corntriton.planner.demand import Demand
from corntriton.planner.plan import Executor, Plan, Stop
from corntriton.repository.manifest import Manifest

# Without a target nobody says how long is too long.
_UNTOLD_S = 0.5
_LEAST_S = 0.02
# Executors this close to the scarcest, as shares of what may be used, are as scarce.
_TIE = 0.02
_PLACES = ("component", "executor")


def bottleneck(manifest: Manifest, repository: File, plan: Plan | None, node: str | None) -> Bottleneck:
    """Of a role that a node has; without a plan any component may be it."""
    busiest = _busiest(plan, node) if plan and node else []
    if plan is None or node is None or not busiest:
        why = "No plan says what binds: the calls of all components count."
        return Bottleneck(_waited_for(manifest, repository, None), _UNTOLD_S, (why,))
    models = _waited_for(manifest, repository, {executor.name for executor in busiest})
    reasons = [
        f"{each.name} binds: {each.usage[0].used:.0%} of its {each.usage[0].resource} is planned for,"
        f" at most {each.usage[0].limit:.0%} may be."
        for each in busiest
    ]
    queue_s, because = min(_patience(plan, each.name, node) for each in busiest)
    return Bottleneck(models, queue_s, (*reasons, because))


def _waited_for(manifest: Manifest, repository: File, executors: set[str] | None) -> tuple[str, ...]:
    """The models of these executors, or of all, and the compiled paths that lead to them."""
    models = [
        model.name
        for model in manifest.models
        if model.kind in _PLACES and (executors is None or model.executor in executors)
    ]
    paths = [
        model.name
        for model in manifest.models
        if model.kind == "path" and steps_of(repository, model) & {*models}
    ]
    return (*models, *paths)


def _busiest(plan: Plan, node: str) -> list[Executor]:
    """The executors with the least to spare."""
    here = [executor for executor in plan.executors if executor.count_on(node) and executor.usage]
    shares = {each.name: each.usage[0].used / each.usage[0].limit for each in here}
    return [each for each in here if shares[each.name] > max(shares.values()) - _TIE]


def _patience(plan: Plan, executor: str, node: str) -> tuple[float, str]:
    """Half of what the tightest target leaves beyond the time without load, shared by a request's calls."""
    found = [(_UNTOLD_S, "No request type has a target for its time: half a second is a guess.")]
    for demand in plan.demands:
        runs = _runs(plan, demand, Stop(executor, node))
        for seconds, unloaded_s in _targets(plan, demand) if runs else ():
            wait_s = max(_LEAST_S, (seconds - unloaded_s) / 2 / runs)
            why = (
                f"A call may wait {wait_s:.3g} s: half of what {demand.name}'s target of {seconds:.3g} s"
                f" leaves beyond {unloaded_s:.3g} s without load, shared by {runs} in a row."
            )
            found.append((wait_s, why))
    return min(found[1:] or found)


def _targets(plan: Plan, demand: Demand) -> Iterator[tuple[float, float]]:
    """The limit and the time without load, of each target whose time a queue adds to."""
    predicted = plan.predicted.get(demand.name)
    if predicted is None:
        return
    times_s = {"completion": predicted.unloaded_s, "first_chunk": predicted.unloaded_first_chunk_s}
    for target in demand.targets:
        unloaded_s = times_s.get(target.of)
        if unloaded_s is not None:
            yield target.seconds, unloaded_s


def _runs(plan: Plan, demand: Demand, stop: Stop) -> int:
    """How often a request of the type comes to a stop, at most."""
    return max(
        sum(each.chunks for each in demand.invocations if route.stops[each.id] == stop)
        for route in plan.routes_of(demand.name)
    )
