"""Lets plans for the same devices compete in simulations: a Task and Options in, ranked finalists out.

    topologies ──try_plan──> plans ──flow bound──> ──short simulations──> the best few ──long ones──> ranked
         ▲                                                  │
         └────────────── neighbours of the best ────────────┘

The program behind `try_plan` knows capacities and no queues: it charges every component of a shared executor
at its full batch, as if nothing ever waited. A component with little to do runs small batches, and takes more
of the devices it shares; members that work at once slow each other down; a queue makes requests late that the
capacity would carry. So of two plans with like capacity one may serve twice as much in time as the other, and
only a simulation sees that. Every plan is proven by the program for its topology; which topology is best is
found by local search: join two executors' sets, or take a component out of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from corntriton.planner.candidates import Components, monoliths
from corntriton.planner.goodput import Goodput, goodput, rough_goodput, run_length
from corntriton.planner.planning import Options, Planned, try_plan
from corntriton.planner.task import Task

ANY_MIX, MONOLITH, APART, SINGLE = (
    "best mix of executors", "monolith", "full disaggregation", "best single topology",
)  # fmt: skip
TRIES = 24  # topologies that the local search looks at
LEADERS = 3  # how many go on to long simulations, beside the baselines,
CLOSE = 0.9  # if they come so near to the best
BETTER = 1.01  # a topology replaces another if it serves that much more
SLACK_SHARES = (0.25, 1.0)  # tried for the best topology, beside the one that was asked for
SHORT, LONG = 10, 16  # length of a simulation, in times the longest target
SEEDS = 2  # of the long simulations that choose
FRESH = 10_000  # added to the seed for simulations that had no say in the choice: who wins was lucky, too
FRESH_SEEDS = 3

Topology = frozenset[Components]  # sets that share no component


@dataclass(frozen=True)
class Finalist:
    """A plan and how it fares when simulated.

    Attributes:
        name: What it is called.
        planned: The plan; it was made to serve the most that its devices can.
        options: How it was made.
        rough: Its goodput by a short simulation.
        goodput: By long ones; None for those that did not get so far.
    """

    name: str
    planned: Planned
    options: Options
    rough: float
    goodput: Goodput | None = None

    @property
    def topology(self) -> str:
        """The sets of components that live together, in words."""
        sets = sorted(_topology(self))
        return " | ".join("+".join(name.partition("/")[2] for name in members) for members in sets)

    @property
    def multiple(self) -> float:
        """The best that is known of its goodput."""
        return self.rough if self.goodput is None else self.goodput.multiple


class Contest:
    """Plans for the same devices.

    Attributes:
        finalists: All whose goodput was found, in the order of their entry.
        tried: How many plans there were.
    """

    def __init__(self, task: Task, options: Options, seed: int) -> None:
        """Args: task, options (goal and topology are ignored) and seed of all simulations."""
        self._task = task
        self._options = replace(options, goal="served", thorough=False)
        self._seed = seed
        self._admitted: list[Planned] = []
        self._again: dict[int, Goodput] = {}  # by the id of a plan
        self.finalists: list[Finalist] = []
        self.tried = 0

    def run(self, again: Sequence[Finalist] = ()) -> None:
        """Finds the rough goodput of the baselines, and of what local search comes by.

        Without targets there is nothing to search for: goodput is capacity.

        Args:
            again: The best of another contest: then their topologies are tried instead of searching.
        """
        self._enter_baselines()
        if again:
            for one in again:
                limit = self._options.device_limit
                self._enter(one.name, replace(one.options, device_limit=limit), self._best_known())
            return
        if not any(demand.targets for demand in self._task.demands):
            return
        self._search()
        for best in self.leaders(1):
            for share in SLACK_SHARES:
                self._enter("", replace(best.options, slack_share=share), best.rough)

    def admit(self, name: str, planned: Planned, options: Options) -> None:
        """Enters a plan that was made elsewhere; long simulations judge it too."""
        self.tried += 1
        rough = self._short(planned, 0.0)
        assert rough is not None  # there was nothing to beat
        self.finalists.append(Finalist(name, planned, options, rough))
        self._admitted.append(planned)

    @property
    def capacity(self) -> float:
        """The largest multiple of the workload that a plan for these devices has the capacity for."""
        return max((one.planned.plan.served_multiple for one in self.finalists), default=1.0)

    def leaders(self, count: int = LEADERS) -> list[Finalist]:
        """The best few plans by short simulations; of equal ones the first."""
        distinct = {id(one.planned): one for one in reversed(self.finalists)}
        ranked = sorted(self.finalists, key=_rough, reverse=True)
        return [one for one in ranked if distinct[id(one.planned)] is one][:count]

    def lead(self) -> Finalist | None:
        """The best by long simulations of the leaders."""
        leaders = self.leaders()
        admitted = [one for one in self.finalists if any(one.planned is other for other in self._admitted)]
        self._judge([one for one in leaders if one.rough >= CLOSE * leaders[0].rough] + admitted)
        return next(iter(self.settled()), None)

    def settle(self) -> list[Finalist]:
        """Leaders, and the baselines that come near, by long simulations, the best first."""
        best = self.lead()
        if best is not None:
            self._judge([one for one in self.baselines().values() if one.rough >= CLOSE * best.multiple])
        return self.settled()

    def settled(self) -> list[Finalist]:
        """What was judged by long simulations, the best first."""
        return sorted((one for one in self.finalists if one.goodput), key=_known, reverse=True)

    def again(self, one: Finalist) -> Goodput:
        """The goodput by long simulations of other seeds: no choice was made by them."""
        plan = one.planned.plan
        if id(one.planned) not in self._again:
            requests = run_length(plan, one.multiple, LONG)
            self._again[id(one.planned)] = goodput(
                plan, seed=self._seed + FRESH, requests=requests, seeds=FRESH_SEEDS, near=one.multiple
            )
        return self._again[id(one.planned)]

    def _judge(self, ones: Sequence[Finalist]) -> None:
        unknown = {id(one.planned): one for one in ones if one.goodput is None}
        found = {number: self._long(one) for number, one in unknown.items()}
        self.finalists = [
            replace(one, goodput=found.get(id(one.planned), one.goodput)) for one in self.finalists
        ]

    def baselines(self) -> dict[str, Finalist]:
        """The plans that others would make, by name; without those that the devices do not allow."""
        named = {one.name: one for one in reversed(self.finalists)}
        found = {name: named[name] for name in (MONOLITH, APART) if name in named}
        single = list(filter(_is_single, self.finalists))
        if single:
            found[SINGLE] = max(single, key=_known)
        return found

    def _enter_baselines(self) -> None:
        options = self._options
        whole = replace(options, sets=sorted(monoliths(self._task.demands)), one_config=True)
        apart = [(name,) for name in sorted(self._task.components)]
        self._enter(ANY_MIX, options)
        self._enter(SINGLE, replace(options, one_topology=True))
        self._enter(MONOLITH, whole)
        self._enter(APART, replace(options, sets=apart))

    def _best_known(self) -> float:
        return max((one.rough for one in self.finalists), default=0.0)

    def _search(self) -> None:
        """Climbs from full disaggregation, and from the best topology if that is another one."""
        seen = set(map(_topology, self.finalists))
        apart = next((one for one in self.finalists if one.name == APART), None)
        if apart is not None:
            self._climb(apart, seen)
        single = sorted(filter(_is_single, self.finalists), key=_rough, reverse=True)
        if single:
            self._climb(single[0], seen)
        both = sorted({members for one in single[:2] for members in _topology(one)})
        if both:
            self._enter("", replace(self._options, sets=both), self._best_known())

    def _climb(self, best: Finalist, seen: set[Topology]) -> None:
        """Goes on to a neighbour that is better, until none is or enough were tried."""
        here: Topology | None = _topology(best)
        last = self.tried + TRIES
        while here is not None:
            untried = [there for there in _neighbours(here) if there not in seen]
            here = None
            for there in untried[: last - self.tried]:
                seen.add(there)
                one = self._enter("", replace(self._options, sets=sorted(there)), best.rough)
                if one and one.rough > BETTER * best.rough:
                    best, here = one, there
                    break

    def _enter(self, name: str, options: Options, to_beat: float = 0.0) -> Finalist | None:
        """Makes a plan and finds its rough goodput, unless there is no plan or it does not beat `to_beat`."""
        self.tried += 1
        planned = try_plan(self._task, options)
        if planned is None:
            return None
        twin = next((one for one in self.finalists if _are_alike(one.planned, planned)), None)
        if twin is not None:
            one = replace(twin, name=name or twin.name, options=options)
        else:
            rough = self._short(planned, to_beat)
            if rough is None:
                return None
            one = Finalist(name, planned, options, rough)
            one = one if name else replace(one, name=one.topology)
        self.finalists.append(one)
        return one

    def _short(self, planned: Planned, to_beat: float) -> float | None:
        requests = run_length(planned.plan, to_beat or 1.0, SHORT)
        return rough_goodput(planned.plan, seed=self._seed, requests=requests, to_beat=to_beat)

    def _long(self, one: Finalist) -> Goodput:
        plan = one.planned.plan
        requests = run_length(plan, one.rough, LONG)
        return goodput(plan, seed=self._seed, requests=requests, seeds=SEEDS, near=one.rough)


def _rough(one: Finalist) -> float:
    return one.rough


def _known(one: Finalist) -> tuple[bool, float]:
    """What is known by long simulations goes before what is not."""
    return one.goodput is not None, one.multiple


def _are_alike(one: Planned, other: Planned) -> bool:
    return one.plan.executors == other.plan.executors and one.plan.routes == other.plan.routes


def _topology(one: Finalist) -> Topology:
    return frozenset(executor.components for executor in one.planned.plan.executors)


def _is_single(one: Finalist) -> bool:
    """Whether every component lives in one set only."""
    sets = _topology(one)
    return sum(map(len, sets)) == len(frozenset().union(*sets))


def _neighbours(topology: Topology) -> Iterator[Topology]:
    """The topologies in which two sets are joined, or one component is alone that was not."""
    for one, other in combinations(sorted(topology), 2):
        yield topology - {one, other} | {tuple(sorted((*one, *other)))}
    for members in sorted(topology):
        for alone in members if len(members) > 1 else ():
            rest = tuple(name for name in members if name != alone)
            yield topology - {members} | {(alone,), rest}
