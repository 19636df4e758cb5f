"""Measures the planner: `python tools/bench_planner.py [--json FILE] [--plot FILE.html] [--only PART…]`.

Parts: paper (solve times of the six models of examples/paper, two mixes, 8 and 16 devices), search (the same
with simulation, and the goodput beside monolith and full disaggregation on as many devices), large (512 and
2048 devices of three types, six request types), growth (solve time by cluster size, drawn), brute (against
trying everything), simulator (stages per second, and where its time goes). Seconds are of CPU: all is one
thread. Of large clusters the worst of four loads counts, of the simulator the best of three runs.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any, TypeVar

sys.path.insert(0, str(ROOT := Path(__file__).resolve().parent.parent))
from corntriton.errors import UserError
from corntriton.planner.candidates import monoliths
from corntriton.planner.decide import decide
from corntriton.planner.demand import Edge
from corntriton.planner.plan import Executor, Member, Place, Plan, Route, Stop
from corntriton.planner.planning import Options, Planned, make_plan
from corntriton.planner.simulate import Simulation, simulate
from corntriton.planner.task import Task, read_task
from corntriton.spec.cluster import Cluster, DeviceType, Link, NodeClass
from corntriton.spec.profiles import Profile, Profiles

PAPER = ROOT / "examples" / "paper"
MODELS = ("qwen3_omni", "qwen2_5_omni", "qwen3_vl", "qwen2_5_vl", "internvl3", "qwen_image")
MIXES = ("third", "two_thirds")

Results = dict[str, float]

# What is promised: each result, whether less or more of it is better, and the bar.
BARS = {
    "worst_milp_s_8gpu": ("<", 2.0),
    "worst_milp_s_16gpu": ("<", 2.0),
    "worst_search_s_16gpu": ("<", 20.0),
    "s_512gpu": ("<", 60.0),
    "gap_512gpu": ("<=", 0.01),
    "s_2048gpu": ("<", 300.0),
    "gap_2048gpu": ("<=", 0.03),
    "brute_force_mismatches": ("<=", 0.0),
    "simulator_stages_per_s": (">=", 200_000.0),
}
LOADS = (0.6, 0.8, 0.9, 1.0)  # of large clusters, in times what loads them to four fifths


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a flat object `results`")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw growth as HTML; takes plotly")
    parser.add_argument("--only", nargs="*", choices=sorted(PARTS), help="parts to run; default: all")
    arguments = parser.parse_args()
    results: Results = {}
    for name, part in PARTS.items():
        if not arguments.only or name in arguments.only:
            part(results)
    results["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if arguments.plot:
        draw(results, arguments.plot)
    print("\n".join(map(verdict, results.items())))
    if arguments.json:
        arguments.json.write_text(json.dumps({"results": results}, indent=1) + "\n", encoding="utf-8")


def verdict(result: tuple[str, float]) -> str:
    """A result in a line, and whether it is what was promised."""
    name, value = result
    if name not in BARS:
        return f"{name:28} {value:.6g}"
    sign, bar = BARS[name]
    passed = {"<": value < bar, "<=": value <= bar, ">=": value >= bar}[sign]
    return f"{name:28} {value:<12.6g} {'pass' if passed else 'MISS'} ({sign} {bar:g})"


def paper_task(model: str, mix: str, devices: int) -> Task:
    """A model of the paper; sixteen devices get twice the rate of eight."""
    folder = PAPER / model
    files = (folder / f"workload-{mix}.yaml", PAPER / f"cluster-{devices}.yaml", folder / "profiles.json")
    return at_rate(read_task([folder], *map(str, files)), devices / 8)


def at_rate(task: Task, multiple: float) -> Task:
    """The task at a multiple of its rate."""
    return replace(task, demands=tuple(replace(d, rate_hz=d.rate_hz * multiple) for d in task.demands))


def paper(results: Results) -> None:
    """Solve times of the six models."""
    for devices in (8, 16):
        worst = 0.0
        for model in MODELS:
            for mix in MIXES:
                planned, seconds = timed(partial(make_plan, paper_task(model, mix, devices), Options()))
                print(f"{model} {mix} on {devices}: {seconds:.2f} s, {_line(planned)}")
                worst = max(worst, seconds)
        results[f"worst_milp_s_{devices}gpu"] = worst


def search(results: Results) -> None:
    """The whole search with simulation, beside what a user would make by hand of as many devices."""
    worst = 0.0
    for model in MODELS:
        for mix in MIXES:
            decision, seconds = timed(partial(decide, paper_task(model, mix, 16), Options("served")))
            worst = max(worst, seconds)
            plans, found = decision.compared, decision.planned.plan
            print(f"{model} {mix}: {seconds:.1f} s, {plans} plans; {_counts(found)}")
            for name, one in {"chosen": decision.chosen, **{r.name: r for r in decision.rivals}}.items():
                print(f"    {name:24} goodput {one.goodput.multiple:.2f}x ± {one.goodput.half_width:.2f}")
    results["worst_search_s_16gpu"] = worst


Answer = TypeVar("Answer")


def timed(act: Callable[[], Answer]) -> tuple[Answer, float]:
    """What it gives, and the seconds of CPU time that it takes: of one thread, others do not disturb it."""
    started_s = time.process_time()
    answer = act()
    return answer, time.process_time() - started_s


def _counts(plan: Plan) -> str:
    return ", ".join(f"{len(executor.instances)} {'+'.join(_short(executor))}" for executor in plan.executors)


def _short(executor: Executor) -> list[str]:
    return [name.partition("/")[2] for name in executor.components]


# Speed and price of other devices beside the A100: from peak bf16 rates and public prices; only the bench
# needs them, to have three types.
DEVICES = {
    "a100": (1.0, DeviceType(memory_gib=80, cost_per_hour=4.0)),
    "h100": (2.2, DeviceType(memory_gib=80, cost_per_hour=7.5)),
    "l40s": (0.6, DeviceType(memory_gib=48, cost_per_hour=2.0)),
}


def large_task(nodes: int) -> Task:
    """Nodes of eight devices of three types, six request types, loaded to about four fifths."""
    task = paper_task("qwen3_omni", "third", 8)
    measured = [profile for profile in task.profiles.profiles if profile.device == "a100"]
    profiles = [_on(profile, device) for device in DEVICES for profile in measured]
    parts = {"a100": nodes // 2, "h100": nodes // 4, "l40s": nodes - nodes // 2 - nodes // 4}
    cluster = Cluster(
        devices={name: device for name, (_, device) in DEVICES.items()},
        nodes={
            name: NodeClass(count=count, devices={name: 8}, nic=Link(gbit_s=200), local=Link(gbit_s=2000))
            for name, count in parts.items()
            if count
        },
    )
    task = replace(
        task, demands=task.demands[:6], cluster=cluster, profiles=Profiles(profiles=tuple(profiles))
    )
    return at_rate(task, 3.9 * nodes)


def _on(profile: Profile, device: str) -> Profile:
    speed = DEVICES[device][0]
    samples = tuple(
        sample.model_copy(
            update={"latency": sample.latency.model_copy(update={"mean_s": sample.latency.mean_s / speed})}
        )
        for sample in profile.samples
    )
    return profile.model_copy(update={"device": device, "samples": samples})


def large(results: Results) -> None:
    """512 and 2048 devices; the worst of several loads."""
    for nodes in (64, 256):
        seconds, gaps = [], []
        for load in LOADS:
            task = at_rate(large_task(nodes), load)
            options = Options(time_limit_s=60 if nodes == 64 else 300)
            planned, taken_s = timed(partial(make_plan, task, options))
            print(f"{nodes} nodes, load {load:g}: {taken_s:.2f} s, {_line(planned)}")
            seconds.append(taken_s)
            gaps.append(planned.plan.objective.gap)
        results[f"s_{nodes * 8}gpu"] = max(seconds)
        results[f"gap_{nodes * 8}gpu"] = max(gaps)


def growth(results: Results) -> None:
    """Solve time by cluster size, as a curve of characters."""
    points = []
    for nodes in (4, 8, 16, 32, 64, 128, 256):
        _, seconds = timed(partial(make_plan, large_task(nodes), Options()))
        points.append((nodes * 8, seconds))
        results[f"growth_s_{nodes * 8}gpu"] = seconds
    longest = max(seconds for _, seconds in points)
    for devices, seconds in points:
        print(f"{devices:6} devices {'#' * round(50 * seconds / longest):50} {seconds:.2f} s")


def draw(results: Results, file: Path) -> None:
    """The growth curve, as one HTML file that needs nothing else."""
    import plotly.graph_objects as go

    points = {name: seconds for name, seconds in results.items() if name.startswith("growth_s_")}
    devices = [int(name.removeprefix("growth_s_").removesuffix("gpu")) for name in points]
    figure = go.Figure(go.Scatter(x=devices, y=list(points.values()), mode="lines+markers"))
    figure.update_layout(
        title="Solve time by cluster size", xaxis_title="devices", yaxis_title="seconds", xaxis_type="log"
    )
    figure.write_html(file, include_plotlyjs=True)


def brute(results: Results) -> None:
    """Least cost against trying everything."""
    from tests.planner.brute_force import least_cost
    from tests.planner.instances import random_task

    wrong = 0
    for seed in range(300):
        task = random_task(seed)
        best = least_cost(task)
        wrong += (best.cost if best else None) != _cost(task)
    results["brute_force_mismatches"] = wrong


def _cost(task: Task) -> float | None:
    try:
        return make_plan(task, Options()).plan.totals.cost_per_hour
    except UserError:
        return None


def simulator(results: Results) -> None:
    """Stages per second: with batching, transfers and queues; with an llm; with executors that share devices.

    Requests enter and leave an llm's batch one by one, and members of one executor slow each other down:
    every such event changes when all that is under way will end, so these take longer.
    """
    results["simulator_stages_per_s"] = _stages_per_s(_chain())
    task = paper_task("qwen3_vl", "two_thirds", 16)
    apart = [(name,) for name in sorted(task.components)]
    for sets, key in ((apart, "llm"), (monoliths(task.demands), "shared")):
        plan = make_plan(task, Options(sets=sets)).plan
        results[f"simulator_{key}_stages_per_s"] = _stages_per_s(plan)
        print(f"where the time of simulator_{key}_stages_per_s goes (measuring slows calls down):")
        print(_profile(plan))


def _profile(plan: Plan) -> str:
    """The functions that take most of a simulation, with their share of it."""
    profiler = cProfile.Profile()
    profiler.runcall(_simulate, plan)
    found = sorted(profiler.getstats(), key=lambda entry: -entry.inlinetime)
    total_s = sum(entry.inlinetime for entry in found)
    return "\n".join(
        f"    {entry.inlinetime / total_s:4.0%} {entry.callcount:>9} calls  {_named(entry.code)}"
        for entry in found[:10]
    )


def _named(code: CodeType | str) -> str:
    """A function as a person would look for it; built-in ones come as text."""
    if isinstance(code, str):
        return code
    return f"{Path(code.co_filename).name}:{code.co_firstlineno} {code.co_name}"


def _chain() -> Plan:
    """Three components that batch, four instances each, on alternating nodes."""
    from tests.planner import plans

    names = ("a", "b", "c")
    edges = [Edge("a", "b", 1e6), Edge("b", "c", 1e6)]
    demand = plans.demand(200.0, [plans.invocation(name, cv=0.3) for name in names], edges)
    places = tuple(Place(f"n-{number % 2}", (number,)) for number in range(4))
    executors = [Executor(name, "gpu", 1, (Member(f"m/{name}", 8),), places) for name in names]
    routes = [
        Route("m/t", 0.5, {name: Stop(name, f"n-{(number + one) % 2}") for number, name in enumerate(names)})
        for one in (0, 1)
    ]
    profiles = [plans.profile(f"m/{name}", {1: 0.02, 8: 0.06}) for name in names]
    return plans.plan([demand], executors, routes, profiles)


def _stages_per_s(plan: Plan) -> float:
    """The best of three, per second of CPU time."""
    runs = [timed(partial(_simulate, plan)) for _ in range(3)]
    return max(simulation.stages / seconds for simulation, seconds in runs)


def _simulate(plan: Plan) -> Simulation:
    return simulate(plan, seed=1, requests=50_000, rate_multiple=0.9)


def _line(planned: Planned) -> str:
    plan, objective = planned.plan, planned.plan.objective
    stages = ", ".join(f"{stage.name} {stage.value:.4g} (gap {stage.gap:.2%})" for stage in objective.stages)
    sizes = f"{planned.considered} -> {objective.candidates} candidates"
    return f"{sizes}, {stages}, {dict(plan.totals.devices)}"


PARTS: dict[str, Callable[[Results], Any]] = {
    "paper": paper, "search": search, "large": large, "growth": growth, "brute": brute,
    "simulator": simulator,
}  # fmt: skip


if __name__ == "__main__":
    main()
