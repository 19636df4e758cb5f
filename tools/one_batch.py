"""The monolith that works on one batch at a time: a plan's monolith in, its goodput by simulation out.

`corntriton` simulates a monolith whose components all work at once, and share the device in time. The
simplest thing to write by hand is another: a process that takes up to B requests, sees the whole batch
through every component in turn, and takes the next. An engine's batch (an llm's) ends with its last request,
the others leave it before; nothing joins. A request is answered when its own last component is through. All
processes take from one queue, whoever is free, as Triton's instances of one model do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heapreplace

import numpy as np

from corntriton.planner.arrivals import Arrival, arrivals
from corntriton.planner.curves import Curve, Library
from corntriton.planner.goodput import WARM_UP, largest, verdicts
from corntriton.planner.plan import Plan
from corntriton.planner.scenario import scenario
from corntriton.planner.simulate import Outcome, Simulation
from corntriton.planner.sizing import setting_of

LIMITS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32, 48, 64)  # of a batch: those that are tried
STEP, TOLERANCE = 1.2, 0.05  # of the search for a goodput
OVERLOAD = 50.0  # times the workload: what then goes through is the capacity


@dataclass(frozen=True)
class OneBatch:
    """A monolith that works on one batch at a time.

    Attributes:
        monolith: A plan whose executors are alike and hold every component on one device each.
        limit: Most requests of a batch.
    """

    monolith: Plan
    limit: int

    @cached_property
    def _curves(self) -> dict[str, Curve]:
        executor, library = self.monolith.executors[0], Library(self.monolith.profiles.profiles)
        return {
            m.component: library.curve(m.component, setting_of(executor.device, m), m.beside)
            for m in executor.members
        }

    @cached_property
    def _order(self) -> list[str]:
        """Components in the order of the longest path; every other path is a part of it."""
        longest = max(self.monolith.demands, key=lambda demand: len(demand.invocations))
        return [invocation.component for invocation in longest.invocations]

    @property
    def fits(self) -> bool:
        """Whether the batch has room beside all weights; what one component used, the next may use again."""
        device = self.monolith.cluster.devices[self.monolith.executors[0].device]
        memories = {name: curve.profile.memory for name, curve in self._curves.items()}
        weights = sum(memory.weights_bytes for memory in memories.values())
        batches = (
            self._at_once(i.component)
            * (memories[i.component].item_bytes + memories[i.component].work_bytes * i.work.mean)
            for demand in self.monolith.demands
            for i in demand.invocations
        )
        return weights + max(batches) <= device.usable_bytes

    def _at_once(self, component: str) -> int:
        """Nothing is known of larger batches than were measured: more requests take several."""
        return min(self.limit, self._curves[component].batches[-1])

    def simulate(self, seed: int, requests: int, multiple: float, warm_up: float = WARM_UP) -> Simulation:
        """The requests that a simulation of the plan would see, with the same work."""
        coming = arrivals(self.monolith, scenario(self.monolith, seed).ways, seed, requests, multiple)
        ended_s = self._play(coming)
        kept = range(int(requests * warm_up), requests)
        outcomes = {}
        for number, demand in enumerate(self.monolith.demands):
            mine = [one for one in kept if coming[one].demand == number]
            arrived_s = np.array([coming[one].at_s for one in mine])
            taken_s = ended_s[mine] - arrived_s
            outcomes[demand.name] = Outcome(arrived_s, taken_s, taken_s, np.ones(len(mine)))
        return Simulation(outcomes, {}, {}, float(ended_s.max()), requests)

    def _play(self, coming: Sequence[Arrival]) -> np.ndarray:  # type: ignore[type-arg]
        """When each request is answered."""
        free_s = [0.0] * sum(len(executor.instances) for executor in self.monolith.executors)
        heapify(free_s)
        ended_s, at = np.zeros(len(coming)), 0
        while at < len(coming):
            now_s = max(free_s[0], coming[at].at_s)
            batch = [at]
            while (
                len(batch) < self.limit
                and batch[-1] + 1 < len(coming)
                and coming[batch[-1] + 1].at_s <= now_s
            ):
                batch.append(batch[-1] + 1)
            at = batch[-1] + 1
            for number, end_s in self._through(now_s, {number: coming[number] for number in batch}):
                ended_s[number] = end_s
                now_s = max(now_s, end_s)
            heapreplace(free_s, now_s)
        return ended_s

    def _through(self, now_s: float, batch: dict[int, Arrival]) -> Iterator[tuple[int, float]]:
        """A batch goes through all components; the last word about a request is when it is answered."""
        for component in self._order:
            works = {number: work for number, one in batch.items() for work in self._works(one, component)}
            numbers, size = list(works), self._at_once(component)
            for first in range(0, len(numbers), size):
                some = numbers[first : first + size]
                now_s += self._batch_s(component, [works[number] for number in some])
            yield from ((number, now_s) for number in numbers)

    def _works(self, one: Arrival, component: str) -> list[float]:
        invocations = self.monolith.demands[one.demand].invocations
        return [work for i, work in zip(invocations, one.works, strict=True) if i.component == component]

    def _batch_s(self, component: str, works: list[float]) -> float:
        curve = self._curves[component]
        if self.monolith.components[component].kind != "llm":
            return curve.latency_s(len(works), sum(works) / len(works))
        taken_s = clock_s = 0.0  # the clock goes as for a request that is alone
        for gone, work in enumerate(sorted(works)):
            inside = sorted(works)[gone:]
            mean = sum(inside) / len(inside)
            end_s = curve.latency_s(1, work)
            taken_s += (end_s - clock_s) * curve.latency_s(len(inside), mean) / curve.latency_s(1, mean)
            clock_s = end_s
        return taken_s

    def goodput(self, seed: int, requests: int, near: float) -> float:
        """The largest multiple at which every target is met, with one seed; at most the capacity."""
        flooded = self.simulate(seed, requests, OVERLOAD)
        arrived_s = max(float(o.arrived_s.max()) for o in flooded.outcomes.values() if len(o.arrived_s))
        capacity = OVERLOAD * arrived_s / flooded.duration_s
        return largest(lambda at: self._strain(seed, requests, at), capacity, near, STEP, TOLERANCE)

    def _strain(self, seed: int, requests: int, multiple: float) -> float:
        judged = verdicts(self.monolith, self.simulate(seed, requests, multiple))
        return max(each.value_s / each.target.seconds for of in judged.values() for each in of)


def best_one_batch(monolith: Plan, seed: int, requests: int, near: float) -> OneBatch:
    """The batch limit that serves most, of those whose batch fits."""
    tried = [one for one in (OneBatch(monolith, limit) for limit in LIMITS) if one.fits]
    return max(tried, key=lambda one: one.goodput(seed, requests, near))
