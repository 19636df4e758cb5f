"""What demands allow: how often each job runs, and how long a run may take; demands and profiles in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corntriton.planner.curves import Library
from corntriton.planner.demand import Demand, Job
from corntriton.planner.latency import StageTime, unloaded
from corntriton.spec.workload import LatencyTarget

# A full batch may use up this share of the time that a target leaves beyond the unloaded time. The rest is
# for waiting: a request that finds a batch at work waits for its end, then for its own batch.
SLACK_SHARE = 0.5


@dataclass(frozen=True)
class Limits:
    """Rates and limits of jobs.

    Attributes:
        rate_hz: Runs per second, by job, all request types together.
        latency_s: Longest time that a run in a full batch may take, by job; infinity without targets.
    """

    rate_hz: Mapping[Job, float]
    latency_s: Mapping[Job, float]

    def jobs_of(self, component: str) -> list[Job]:
        """The component's jobs."""
        return [job for job in self.rate_hz if job.component == component]

    def mean_work(self, component: str) -> float:
        """The component's work per run, over all request types."""
        jobs = self.jobs_of(component)
        runs = sum(self.rate_hz[job] for job in jobs)
        return sum(self.rate_hz[job] * job.work for job in jobs) / runs


def find_limits(demands: Sequence[Demand], library: Library, slack_share: float = SLACK_SHARE) -> Limits:
    """Rates and limits; a job of several types gets the loosest type's limit."""
    rate_hz: dict[Job, float] = {}
    latency_s: dict[Job, float] = {}
    for demand in demands:
        stages = fastest_stages(demand, library)
        slack_s = slack(demand, stages) * slack_share
        for invocation in demand.invocations:
            job = invocation.job
            rate_hz[job] = rate_hz.get(job, 0.0) + demand.rate_hz * invocation.runs
            # A type whose target nothing can meet is served as fast as can be, and reported.
            limit_s = stages[invocation.id].run_s + max(slack_s, 0.0)
            latency_s[job] = max(latency_s.get(job, 0.0), limit_s)
    return Limits(rate_hz, latency_s)


def fastest_stages(demand: Demand, library: Library) -> dict[str, StageTime]:
    """The least time that any profile gives each invocation, in a batch of one."""
    return {
        invocation.id: StageTime(
            min(curve.latency_s(1, invocation.work.mean) for curve in library.all_of(invocation.component)),
            min(
                curve.first_chunk_s(1, invocation.work.mean) for curve in library.all_of(invocation.component)
            ),
        )
        for invocation in demand.invocations
    }


def slack(demand: Demand, stages: Mapping[str, StageTime]) -> float:
    """Seconds that the tightest target leaves beyond the unloaded time; negative if it cannot be met."""
    return min((_slack(target, demand, stages) for target in demand.targets), default=float("inf"))


def _slack(target: LatencyTarget, demand: Demand, stages: Mapping[str, StageTime]) -> float:
    first_s, done_s = unloaded(demand, stages)
    if target.of == "completion":
        return target.seconds - done_s
    if target.of == "first_chunk":
        return target.seconds - first_s
    answers = [(stages[name], demand.by_id[name].work.mean) for name in demand.answers]
    return min(
        ((target.seconds * work - (s.run_s - s.first_chunk_s)) for s, work in answers), default=float("inf")
    )
