"""Plans to rehearse: one that maps, batches, streams and takes chunks, and one that crosses nodes."""

from __future__ import annotations

from dataclasses import replace

from corntriton.planner.demand import ComponentFacts, Edge
from corntriton.planner.plan import Cache, Executor, Member, Place, Plan, Predicted, Route, Stop
from corntriton.spec.workload import LatencyTarget
from tests.planner.plans import HERE, demand, invocation, plan, profile

TARGETS = (LatencyTarget(percentile=95, seconds=5), LatencyTarget(percentile=95, seconds=5, of="first_chunk"))
SPOKEN, SEEN = "m/spoken", "m/seen"


def small() -> Plan:
    """An encoder for each of two images, an llm that streams, and a vocoder fed by its chunks."""
    spoken = demand(
        2.0,
        [invocation("eye", elements=2), invocation("llm", mean=10, cv=0.2), invocation("voice", chunks=2)],
        [Edge("eye", "llm", 100_000), Edge("llm", "voice", 4000, chunked=True)],
        TARGETS,
        SPOKEN,
    )
    seen = demand(
        4.0,
        [invocation("eye"), invocation("llm", mean=10, cv=0.2)],
        [Edge("eye", "llm", 50_000)],
        TARGETS[:1],
        SEEN,
    )
    both = Executor(
        "eye+llm",
        "gpu",
        1,
        (Member("m/eye", 4), Member("m/llm", 8)),
        (Place(HERE, (0,)), Place(HERE, (1,))),
        (Cache("m/llm", 1000.0, 1.0),),
    )
    voice = Executor("voice", "gpu", 1, (Member("m/voice", 4),), (Place(HERE, (2,)),))
    stops = {"eye": Stop("eye+llm", HERE), "llm": Stop("eye+llm", HERE)}
    made = plan(
        [spoken, seen],
        [both, voice],
        [Route(SPOKEN, 1, {**stops, "voice": Stop("voice", HERE)}), Route(SEEN, 1, stops)],
        [
            profile("m/eye", {1: 0.02, 4: 0.05}, std_s=0.1),
            profile("m/llm", {1: 0.01, 8: 0.02}, first_chunk_s=0.002),
            profile("m/voice", {1: 0.02, 4: 0.04}),
        ],
    )
    facts = {name: ComponentFacts(kind) for name, kind in (("m/eye", "encoder"), ("m/voice", "vocoder"))}
    return replace(
        made,
        components={**facts, "m/llm": ComponentFacts("llm", streaming=True)},
        predicted={SPOKEN: Predicted(2.0, 0.16), SEEN: Predicted(4.0, 0.12)},
        totals=replace(made.totals, devices={"gpu": 3}, instances=3, nodes=1),
    )


def crossing() -> Plan:
    """The vocoder is on another node."""
    one = small()
    eye_llm, voice = one.executors
    moved = replace(voice, instances=(Place("n-1", (0,)),))
    route = replace(one.routes[0], stops={**one.routes[0].stops, "voice": Stop("voice", "n-1")})
    return replace(one, executors=(eye_llm, moved), routes=(route, one.routes[1]))
