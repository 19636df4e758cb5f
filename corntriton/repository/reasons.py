"""Why a Triton model has the instances it has: an executor of a plan in, lines of a comment out."""

from __future__ import annotations

from collections.abc import Iterator

from corntriton.planner.plan import Executor, Plan


def reasons_for(plan: Plan, executor: Executor, node: str, instances: int) -> Iterator[str]:
    """The lines.

    Args:
        plan: The plan.
        executor: One of its executors.
        node: The node whose share is explained.
        instances: How many of its instances are.
    """
    yield f"The plan's executor {executor.name}: {_counted(instances, 'instance')} here."
    for component, rate_hz in rates_hz(plan, executor.name, node).items():
        batch = executor.member(component).max_batch
        yield f"{component}: {rate_hz:.3g} runs per second in all of them, in batches of at most {batch}."
    for number, usage in enumerate(executor.usage):
        binds = " This is what binds." if number == 0 else ""
        yield f"Of its {usage.resource}, {usage.used:.0%} is in use, at most {usage.limit:.0%} may be.{binds}"


def rates_hz(plan: Plan, executor: str, node: str) -> dict[str, float]:
    """Planned runs per second of each component on an executor on a node."""
    rates: dict[str, float] = dict.fromkeys(plan.executor(executor).components, 0.0)
    for demand in plan.demands:
        for route in plan.routes_of(demand.name):
            for invocation in demand.invocations:
                stop = route.stops[invocation.id]
                if (stop.executor, stop.node) == (executor, node):
                    rates[invocation.component] += demand.rate_hz * route.share * invocation.runs
    return rates


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"
