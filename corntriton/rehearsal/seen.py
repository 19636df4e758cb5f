"""What a rehearsal saw: exchanges and the stand-ins' rows in; outcomes, use of executors, parts of times out.

Times are seconds of the plan, except where a name says `real`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from corntriton.load.generator import Exchange, Load
from corntriton.load.verdict import Verdict, judge
from corntriton.planner.arrivals import Arrival as Coming
from corntriton.planner.demand import Demand
from corntriton.planner.plan import Plan
from corntriton.planner.simulate import Outcome, Simulation
from corntriton.rehearsal.standin.journal import Row


@dataclass(frozen=True)
class Sent:
    """A request that was sent, and when: a reading of time.monotonic."""

    exchange: Exchange
    sent_s: float


@dataclass(frozen=True)
class Use:
    """How an executor was used.

    Attributes:
        busy: Share of the time that its devices worked, averaged over its instances.
        waiting: Items that waited for it, on average.
        batch: Items in a batch, on average over batches; of llms, requests inside when one came.
        instances: Busy shares of each.
    """

    busy: float
    waiting: float
    batch: float
    instances: tuple[float, ...]


@dataclass(frozen=True)
class Parts:
    """Where requests of one type spent their time: means along the steps that each waited for.

    Attributes:
        waiting_s: By component, until the emulated device began.
        working_s: By component, on the emulated device.
        machine_s: The rest: what client, orchestrator, hosts and threads of this machine took at the end.
    """

    waiting_s: Mapping[str, float]
    working_s: Mapping[str, float]
    machine_s: float


@dataclass(frozen=True)
class Machine:
    """What this machine itself did.

    Attributes:
        late_real_s: p50 and p99 of how late requests were sent.
        woken_real_s: p50 and p99 of how much later than the emulated end a stand-in's thread went on.
        cpu: Share of all CPUs that was busy, whoever kept them so.
    """

    late_real_s: tuple[float, float]
    woken_real_s: tuple[float, float]
    cpu: float


@dataclass(frozen=True)
class Seen:
    """A play.

    Attributes:
        simulation: Outcomes and use in the simulator's own terms, to be judged like one.
        uses: By executor.
        parts: By request type.
        verdict: Goodput and percentiles with their confidence, of what was measured.
        machine: Of this machine.
        overhead_real_s: Median of what a request took beyond the work of its stand-ins; of requests that are
            alone, this machine's own share.
    """

    simulation: Simulation
    uses: Mapping[str, Use]
    parts: Mapping[str, Parts]
    verdict: Verdict
    machine: Machine
    overhead_real_s: float


def see(
    plan: Plan,
    coming: Sequence[Coming],
    sent: Sequence[Sent],
    rows: Mapping[str, Sequence[Row]],
    slower: float,
    first: int,
    skipped: int,
    cpu: float,
    delay_real_s: float,
) -> Seen:
    """Puts a play together.

    Args:
        plan: The plan.
        coming: Its requests.
        sent: What became of each.
        rows: Of each stand-in's process.
        slower: Real seconds for each second of the plan.
        first: The first request's number.
        skipped: Requests of the warm-up.
        cpu: Share of the CPUs that was busy.
        delay_real_s: What this machine adds to each step that a request waits for; taken off its times.
    """
    delays_s = [delay_real_s * depth(demand) for demand in plan.demands]
    sent = [_without(each, delays_s[one.demand]) for each, one in zip(sent, coming, strict=True)]
    every = [row for of_process in rows.values() for row in of_process]
    by_request: dict[int, list[Row]] = {}
    for row in every:
        by_request.setdefault(row.request - first, []).append(row)
    counted = range(skipped, len(coming))
    walks = {n: _walk(plan.demands[coming[n].demand], sent[n], by_request.get(n, [])) for n in counted}
    begin_s = sent[skipped].sent_s
    uses = {
        executor.name: _use(
            [_after(of, begin_s) for of in rows.values() if of and of[0].site == site], slower
        )
        for site, executor in enumerate(plan.executors)
    }
    outcomes = {
        demand.name: _outcome([n for n in counted if coming[n].demand == number], coming, sent, slower)
        for number, demand in enumerate(plan.demands)
    }
    duration_s = max(each.exchange.arrival.at_s + each.exchange.done_s for each in sent) / slower
    busy = {name: use.busy for name, use in uses.items()}
    woken = [row.told_s - row.ended_s for row in every]
    return Seen(
        Simulation(outcomes, busy, {}, duration_s, len(every)),
        uses,
        {
            demand.name: _parts([walks[n] for n in counted if coming[n].demand == number], slower)
            for number, demand in enumerate(plan.demands)
        },
        judge(_load(sent, slower), plan.workload, coming[skipped].at_s),
        Machine(_p50_p99([each.exchange.late_s for each in sent]), _p50_p99(woken), cpu),
        float(np.median([sent[n].exchange.done_s - sum(walks[n].working.values()) for n in counted])),
    )


@dataclass(frozen=True)
class _Walk:
    """One request, along the steps that it waited for; real seconds."""

    waiting: Mapping[str, float]
    working: Mapping[str, float]
    machine_s: float


def _walk(demand: Demand, sent: Sent, rows: Sequence[Row]) -> _Walk:
    """Back from the step that ended last, always to the producer that ended last."""
    ends: dict[str, Row] = {}
    for row in rows:
        name = demand.invocations[row.step].id
        if name not in ends or row.ended_s > ends[name].ended_s:
            ends[name] = row
    due_s = sent.sent_s - sent.exchange.late_s
    waiting: dict[str, float] = {}
    working: dict[str, float] = {}
    step = max(ends, key=lambda name: ends[name].ended_s, default=None)
    last_s = ends[step].ended_s if step is not None else due_s
    while step is not None:
        row = ends[step]
        before = [edge.producer for edge in demand.into(step) if edge.producer in ends]
        step_before = max(before, key=lambda name: ends[name].ended_s, default=None)
        ready_s = due_s if step_before is None else min(ends[step_before].ended_s, row.began_s)
        component = demand.invocation(step).component
        waiting[component] = waiting.get(component, 0.0) + row.began_s - ready_s
        working[component] = working.get(component, 0.0) + row.ended_s - row.began_s
        step = step_before
    return _Walk(waiting, working, due_s + sent.exchange.done_s - last_s)


def _parts(walks: Sequence[_Walk], slower: float) -> Parts:
    def mean(of: Sequence[Mapping[str, float]]) -> dict[str, float]:
        names = sorted({name for each in of for name in each})
        return {n: float(np.mean([each.get(n, 0.0) for each in of])) / slower for n in names}

    rest = float(np.mean([walk.machine_s for walk in walks])) / slower if walks else 0.0
    return Parts(mean([w.waiting for w in walks]), mean([w.working for w in walks]), rest)


def _after(rows: Sequence[Row], begin_s: float) -> list[Row]:
    return [row for row in rows if row.ended_s >= begin_s]


def _use(processes: Sequence[Sequence[Row]], slower: float) -> Use:
    """Of one executor; an instance that never got anything is not known of, and is counted nowhere."""
    shares = tuple(_busy(rows) for rows in processes if len(rows) > 1)
    rows = [row for each in processes for row in each]
    if not rows or not shares:
        return Use(0.0, 0.0, 0.0, shares)
    span_s = max(row.ended_s for row in rows) - min(row.came_s for row in rows)
    waited_s = sum(row.began_s - row.came_s for row in rows)
    batches = {(row.began_s, row.ended_s): row.batch for row in rows}
    return Use(
        float(np.mean(shares)), waited_s / max(span_s, 1e-9), float(np.mean([*batches.values()])), shares
    )


def _busy(rows: Sequence[Row]) -> float:
    ordered = sorted(rows, key=lambda row: row.told_s)
    span_s = ordered[-1].told_s - ordered[0].told_s
    return (ordered[-1].busy_s - ordered[0].busy_s) / span_s if span_s > 0 else 0.0


def _outcome(
    numbers: Sequence[int], coming: Sequence[Coming], sent: Sequence[Sent], slower: float
) -> Outcome:
    return Outcome(
        np.array([coming[n].at_s for n in numbers]),
        np.array([sent[n].exchange.done_s / slower for n in numbers]),
        np.array([sent[n].exchange.first_s / slower for n in numbers]),
        np.array([coming[n].works[coming[n].way.told_by] for n in numbers]),
    )


def _p50_p99(values: Sequence[float]) -> tuple[float, float]:
    p50, p99 = np.percentile(values or [0.0], [50, 99])
    return float(p50), float(p99)


def _load(sent: Sequence[Sent], slower: float) -> Load:
    """In seconds of the plan."""
    exchanges = []
    for each in (one.exchange for one in sent):
        arrival = replace(each.arrival, at_s=each.arrival.at_s / slower)
        times_s = (each.late_s / slower, each.first_s / slower, each.done_s / slower)
        exchanges.append(Exchange(arrival, *times_s, each.pieces, each.error))
    return Load(tuple(exchanges), exchanges[-1].arrival.at_s + 1e-9, 0.0)


def depth(demand: Demand) -> int:
    """Steps on the longest way through a path: each chunk is one."""
    found: dict[str, int] = {}
    for invocation in demand.invocations:
        before = max((found[edge.producer] for edge in demand.into(invocation.id)), default=0)
        found[invocation.id] = before + invocation.chunks
    return max(found.values())


def _without(sent: Sent, delay_s: float) -> Sent:
    exchange = sent.exchange
    first_s, done_s = max(0.0, exchange.first_s - delay_s), max(0.0, exchange.done_s - delay_s)
    return replace(sent, exchange=replace(exchange, first_s=first_s, done_s=done_s))


def components(parts: Mapping[str, Parts]) -> Iterator[str]:
    """Every component that some request waited for."""
    yield from sorted({name for each in parts.values() for name in each.working_s})
