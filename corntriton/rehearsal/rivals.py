"""What a plan is rehearsed beside: the same task on as many devices, as somebody would deploy it by hand.

| name                | what it is                                                                       |
|---------------------|----------------------------------------------------------------------------------|
| monolith            | every device, or group of as many as its largest member spans, holds a full copy |
|                     | of all components in one process; the memory they leave limits the batches       |
| full disaggregation | every component by itself, with as many instances as the solver finds best       |

Neither is a strawman: both are the solver's best plans of their kind for these devices, routes included, with
the batch limits that serve most in simulations, of those that `SLACK_SHARES` lead to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from corntriton.planner.candidates import monoliths
from corntriton.planner.compare import exactly
from corntriton.planner.contest import APART, MONOLITH, SHORT
from corntriton.planner.goodput import rough_goodput, run_length
from corntriton.planner.limits import SLACK_SHARE
from corntriton.planner.plan import Plan
from corntriton.planner.planning import Options, try_plan
from corntriton.planner.task import Task

SLACK_SHARES = (SLACK_SHARE, 0.25, 1.0)


def rivals_of(plan: Plan, seed: int = 0) -> dict[str, Plan | None]:
    """Monolith and full disaggregation; None for one that these devices do not hold."""
    task = Task(plan.demands, plan.components, plan.workload, plan.cluster, plan.profiles)
    limit = exactly(plan.totals.devices, plan.cluster)
    served = Options("served", device_limit=limit, thorough=False)
    apart = [(name,) for name in sorted(plan.components)]
    kinds = {
        MONOLITH: replace(served, sets=sorted(monoliths(plan.demands)), one_config=True),
        APART: replace(served, sets=apart),
    }
    return {name: _best(task, kind, seed) for name, kind in kinds.items()}


def _best(task: Task, options: Options, seed: int) -> Plan | None:
    """The plan of that kind that serves most in simulations."""
    ranked = sorted(_ranked(task, options, seed), key=lambda one: one[0], reverse=True)
    return ranked[0][1] if ranked else None


def _ranked(task: Task, options: Options, seed: int) -> Iterator[tuple[float, Plan]]:
    for share in SLACK_SHARES:
        planned = try_plan(task, replace(options, slack_share=share))
        if planned is not None:
            requests = run_length(planned.plan, 1.0, SHORT)
            yield rough_goodput(planned.plan, seed=seed, requests=requests) or 0.0, planned.plan
