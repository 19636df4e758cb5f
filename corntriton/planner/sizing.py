"""What components can carry together on one group of devices: profiles and memory in, candidates out.

The weights of all members leave the rest of each device's memory to batches and KV caches. That limits
the batches; the batch sets the time that a run takes of the devices, which all members share. A profile
measured beside exactly the other members is used where there is one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from math import prod

from corntriton.planner.curves import Curve, Library, Setting
from corntriton.planner.demand import ComponentFacts, Job
from corntriton.planner.limits import Limits
from corntriton.planner.plan import Executor, Member

TIME = "time"
CACHE = "cache"
FEW_WORKS = 4
MAX_BATCH_CHOICES = 200  # per set, device and setting; beyond, the members' batch limits move together


@dataclass(frozen=True, eq=False)
class Candidate:
    """An executor type with its config.

    Attributes:
        device: Device type.
        group: Devices of one instance.
        members: By component name.
        node_classes: Where it may stand.
        uses: By resource and job: the share of one instance's resource that one run per second takes.
        latency_s: By job: time of a run in a full batch.
        pool_bytes: For KV caches, of one instance.
        cache_bytes: KV bytes per unit of work, by llm.
    """

    device: str
    group: int
    members: tuple[Member, ...]
    node_classes: tuple[str, ...]
    uses: Mapping[str, Mapping[Job, float]]
    latency_s: Mapping[Job, float]
    pool_bytes: float = 0.0
    cache_bytes: Mapping[str, float] = field(default_factory=dict)

    @property
    def components(self) -> tuple[str, ...]:
        """Its components, sorted."""
        return tuple(member.component for member in self.members)

    def runs(self, job: Job) -> bool:
        """Whether it takes the job, and within what latency targets allow."""
        return job in self.uses[TIME]

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for the same executor type with the same config."""
        return self.device, self.group, self.members


@dataclass(frozen=True)
class Sizing:
    """Sizes executors on one device type.

    Attributes:
        device: The device type.
        usable_bytes: Memory of one device that weights and batches may take.
        components: Facts by name.
        library: Times and sizes.
        limits: Jobs, and how long they may take.
    """

    device: str
    usable_bytes: int
    components: Mapping[str, ComponentFacts]
    library: Library
    limits: Limits

    def candidates(self, names: Sequence[str], node_classes: Mapping[str, int]) -> Iterator[Candidate]:
        """The executors that these components can form.

        Args:
            names: The components, sorted.
            node_classes: Devices per node of the classes where they may stand.
        """
        for choices in product(*(self._choices(name, names) for name in names)):
            group = max(choice.setting.tensor_parallel for choice in choices)
            classes = tuple(name for name, devices in node_classes.items() if devices >= group)
            if classes and all(group % choice.setting.tensor_parallel == 0 for choice in choices):
                yield from self._every_size(choices, group, classes)

    def _every_size(
        self, choices: Sequence[_Choice], group: int, classes: tuple[str, ...]
    ) -> Iterator[Candidate]:
        for number, batches in enumerate(_batch_vectors(choices)):
            found = list(self._sized(choices, batches, group, classes))
            yield from found
            if number == 0 and any(_unlimited(candidate, choices, batches) for candidate in found):
                return  # everything has its largest batch: smaller ones only take longer

    def candidate_of(self, executor: Executor, node_classes: Mapping[str, int]) -> Candidate | None:
        """The candidate that is this executor; None if profiles, memory or targets do not allow it now."""
        choices, batches = [], []
        for member in executor.members:
            wanted = setting_of(self.device, member)
            mine = [c for c in self._choices(member.component, executor.components) if c.setting == wanted]
            if not mine:
                return None
            choices.append(mine[0])
            batches.append(member.max_batch)
        group = executor.devices_per_instance
        taken = sum(c.device_bytes(batch) for c, batch in zip(choices, batches, strict=True))
        classes = tuple(name for name, devices in node_classes.items() if devices >= group)
        if taken > self.usable_bytes or not classes:
            return None
        pool = group * (self.usable_bytes - taken)
        return next(self._candidate(choices, batches, group, classes, pool), None)

    def _choices(self, name: str, names: Sequence[str]) -> list[_Choice]:
        others = [other for other in names if other != name]
        found = []
        for setting in self.library.settings(name, self.device):
            curve = self.library.best(name, setting, others)
            if curve:
                jobs = tuple(self.limits.jobs_of(name))
                llm = self.components[name].kind == "llm"
                choice = _Choice(name, setting, curve, llm, jobs, self.limits)
                found += [choice] if choice.batches else []
        return found

    def _sized(
        self, choices: Sequence[_Choice], batches: Sequence[int], group: int, classes: tuple[str, ...]
    ) -> Iterator[Candidate]:
        taken = sum(c.device_bytes(batch) for c, batch in zip(choices, batches, strict=True))
        if taken > self.usable_bytes:
            return
        pool = group * (self.usable_bytes - taken)
        fitting = {
            tuple(
                choice.fitting(batch, work, pool, group)
                for choice, batch, work in zip(choices, batches, works, strict=True)
            )
            for works in self._typical_works(choices)
        }
        for each in sorted(fitting):
            if min(each) >= 1:
                yield from self._candidate(choices, each, group, classes, pool)

    def _typical_works(self, choices: Sequence[_Choice]) -> Iterator[list[float]]:
        """Works by which an llm's batch may be sized: mean, smallest, largest; every one if they are few."""
        yield [self.limits.mean_work(choice.component) for choice in choices]
        ladders = [sorted({job.work for job in choice.jobs}) for choice in choices]
        count = max(len(ladder) for ladder in ladders)
        for rank in range(count) if count <= FEW_WORKS else (0, count - 1):
            yield [ladder[min(rank, len(ladder) - 1)] for ladder in ladders]

    def _candidate(
        self,
        choices: Sequence[_Choice],
        batches: Sequence[int],
        group: int,
        classes: tuple[str, ...],
        pool: float,
    ) -> Iterator[Candidate]:
        uses: dict[str, dict[Job, float]] = {TIME: {}}
        latency_s: dict[Job, float] = {}
        for choice, batch in zip(choices, batches, strict=True):
            copies = choice.copies(group)
            cache_work = choice.cache_work(pool, group)
            for job in choice.jobs:
                if choice.in_time(batch, job) and job.work <= cache_work / copies:
                    latency_s[job] = choice.curve.latency_s(batch, job.work)
                    uses[TIME][job] = latency_s[job] / batch / copies
                    if cache_work < float("inf"):
                        uses.setdefault(choice.cache_name, {})[job] = latency_s[job] * job.work / cache_work
        if not all(any(job in latency_s for job in choice.jobs) for choice in choices):
            return
        members = tuple(choice.member(batch) for choice, batch in zip(choices, batches, strict=True))
        caches = {choice.component: choice.cache_bytes for choice in choices if choice.cache_bytes}
        yield Candidate(
            self.device,
            group,
            members,
            classes,
            _binding(uses),
            latency_s,
            pool if caches else 0.0,
            caches,
        )


def _unlimited(candidate: Candidate, choices: Sequence[_Choice], batches: Sequence[int]) -> bool:
    """Whether every member has the batch that it wants, for every job, and no cache ever fills."""
    wanted = tuple(member.max_batch for member in candidate.members) == tuple(batches)
    every_job = all(candidate.runs(job) for choice in choices for job in choice.jobs)
    return wanted and every_job and set(candidate.uses) == {TIME}


def _binding(uses: Mapping[str, Mapping[Job, float]]) -> dict[str, Mapping[Job, float]]:
    """The resources without caches that never bind: no job takes more of them than of time."""
    time = uses[TIME]
    return {
        resource: shares
        for resource, shares in uses.items()
        if resource == TIME or any(share > time[job] for job, share in shares.items())
    }


@dataclass(frozen=True)
class _Choice:
    """A member in one setting, with everything that does not depend on the batch."""

    component: str
    setting: Setting
    curve: Curve
    llm: bool
    jobs: tuple[Job, ...]
    limits: Limits

    @cached_property
    def batches(self) -> tuple[int, ...]:
        """The batch limits worth trying, ascending.

        Measured ones, powers of two between, and the largest that is in time for each job; without those
        that are in time for no job, or no faster than a smaller one.
        """
        largest = self.curve.batches[-1]
        tried = {*self.curve.batches, *(2**k for k in range(largest.bit_length()))}
        tried |= {self._largest_in_time(job, largest) for job in self.jobs}
        kept: list[int] = []
        for batch in sorted(tried - {0}):
            useful = [job for job in self.jobs if self.in_time(batch, job)]
            if useful and (not kept or any(self._faster(batch, kept[-1], job) for job in useful)):
                kept.append(batch)
        return tuple(kept)

    def _largest_in_time(self, job: Job, largest: int) -> int:
        return bisect_left(range(1, largest + 1), True, key=lambda batch: not self.in_time(batch, job))

    def _faster(self, batch: int, other: int, job: Job) -> bool:
        return self.curve.item_s(batch, job.work) < self.curve.item_s(other, job.work)

    def in_time(self, batch: int, job: Job) -> bool:
        """Whether a full batch ends within what the job's targets allow."""
        return self.curve.latency_s(batch, job.work) <= self.limits.latency_s[job] * (1 + 1e-9)

    def batch_bytes(self, batch: int) -> int:
        """What one copy sets aside for batches; an llm's KV cache comes from what is left over."""
        memory = self.curve.profile.memory
        per_work = 0.0 if self.llm else memory.work_bytes
        return int(batch * (memory.item_bytes + per_work * self.most_work))

    def device_bytes(self, batch: int) -> float:
        """Memory on each of the devices of a copy."""
        weights = self.curve.profile.memory.weights_bytes
        return (weights + self.batch_bytes(batch)) / self.setting.tensor_parallel

    @property
    def cache_bytes(self) -> float:
        """KV bytes per unit of work; 0 for what has no KV cache."""
        return self.curve.profile.memory.work_bytes if self.llm else 0.0

    @property
    def cache_name(self) -> str:
        """A measured cache is the llm's own; others share what memory is left."""
        return f"{CACHE} of {self.component}" if self.curve.profile.memory.resident_work else CACHE

    @property
    def most_work(self) -> float:
        """The largest work among its jobs."""
        return max(job.work for job in self.jobs)

    def copies(self, group: int) -> int:
        """Copies in a device group."""
        return group // self.setting.tensor_parallel

    def cache_work(self, pool_bytes: float, group: int) -> float:
        """Units of work that the caches of all copies hold at once."""
        measured = self.curve.profile.memory.resident_work
        if not self.llm:
            return float("inf")
        if measured:
            return measured * self.copies(group)
        return pool_bytes / self.cache_bytes if self.cache_bytes else float("inf")

    def fitting(self, batch: int, work: float, pool_bytes: float, group: int) -> int:
        """As much of a batch limit as the cache of one copy holds, if every request has this work."""
        return int(min(batch, self.cache_work(pool_bytes, group) / self.copies(group) / work))

    def member(self, batch: int) -> Member:
        """As the plan states it."""
        return Member(
            self.component,
            batch,
            self.setting.tensor_parallel,
            self.setting.precision,
            tuple(sorted(self.curve.profile.beside)),
            self.curve.profile.memory.weights_bytes,
            self.batch_bytes(batch),
        )


def setting_of(device: str, member: Member) -> Setting:
    """The setting that a member of an executor runs in."""
    return Setting(device, member.tensor_parallel, member.precision)


def _batch_vectors(choices: Sequence[_Choice]) -> Iterator[tuple[int, ...]]:
    """Batch limits to try, the largest first: every combination, or, if too many, all lowered together."""
    ladders = [choice.batches[::-1] for choice in choices]
    if prod(len(ladder) for ladder in ladders) <= MAX_BATCH_CHOICES:
        return product(*ladders)
    steps = range(max(len(ladder) for ladder in ladders))
    return (tuple(ladder[min(step, len(ladder) - 1)] for ladder in ladders) for step in steps)
