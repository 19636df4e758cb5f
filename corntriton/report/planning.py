"""A plan for people, as tables, and for machines, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from corntriton.planner.compare import Alternative
from corntriton.planner.decide import Decision
from corntriton.planner.explain import Explanation
from corntriton.planner.plan import Executor, Plan, Stage
from corntriton.planner.planning import Planned
from corntriton.planner.rivals import Rival
from corntriton.planner.sensitivity import Margin, Sensitivity

THIS = "this plan"
NOT_FOUND = "not found in time"


def to_json(
    planned: Planned,
    decision: Decision | None,
    others: Sequence[Alternative],
    prices: Mapping[str, tuple[float, float]],
    explanation: Explanation | None,
    margins: Sensitivity | None,
) -> dict[str, Any]:
    """The plan, what it was compared with, and how long that took."""
    return {
        "plan": planned.plan.to_json(),
        "simulated": _simulated_json(decision) if decision else None,
        "alternatives": [asdict(other) for other in others],
        "served_with_device": {name: {"fewer": less, "more": more} for name, (less, more) in prices.items()},
        "explanation": asdict(explanation) if explanation else None,
        "sensitivity": asdict(margins) if margins else None,
        "candidates_before_pruning": planned.considered,
        "seconds": planned.seconds,
    }


def _simulated_json(decision: Decision) -> dict[str, Any]:
    """Goodput and latencies of the plan, as `this plan`, and of its rivals on as many devices."""
    return {
        name: {
            "goodput": asdict(rival.goodput),
            "devices": dict(rival.plan.totals.devices),
            "request_types": {
                kind: {"p50_s": p50_s, "p99_s": p99_s} for kind, (p50_s, p99_s) in rival.times_s.items()
            },
        }
        for name, rival in _rivals(decision).items()
    }


def _rivals(decision: Decision) -> dict[str, Rival]:
    return {THIS: decision.chosen, **{rival.name: rival for rival in decision.rivals}}


def show(
    planned: Planned,
    decision: Decision | None,
    others: Sequence[Alternative],
    prices: Mapping[str, tuple[float, float]],
    console: Console,
) -> None:
    """Prints executors, request types, alternatives, and how good the plan is proven to be."""
    plan = planned.plan
    console.print(_executors(plan))
    console.print(_request_types(plan))
    if decision is not None:
        console.print(_side_by_side(plan, decision))
    console.print(_alternatives(plan, decision, others))
    for device, (less, more) in prices.items():
        line = f"one {device} fewer: capacity for {less:.2f}x the workload; one more: {more:.2f}x"
        console.print(Text(line), soft_wrap=True)
    for note in plan.notes:
        console.print(Text.assemble(("note: ", "yellow"), note), soft_wrap=True)
    console.print(_summary(planned), soft_wrap=True)


def show_explanation(explanation: Explanation, console: Console) -> None:
    """Prints where a component lives, why its batches are limited, and what other places would cost."""
    table = _table(
        f"where {explanation.component} lives", "executor", "share of runs", "batch limit", "why not more"
    )
    for home in explanation.homes:
        limit = f"{home.max_batch} of {home.largest_batch}"
        table.add_row(home.executor, f"{home.share:.0%}", limit, home.why_batch or "largest measured")
    console.print(table)
    table = _table(
        f"if {explanation.component} had to live", "", "cost per hour", "served on as many devices"
    )
    for other in explanation.otherwise:
        table.add_row(other.name, _cost(other), _capacity(other))
    console.print(table)


def show_sensitivity(plan: Plan, found: Sensitivity, console: Console) -> None:
    """Prints how far the rate, each share and each time can move, and what fails then."""
    title = f"what may change at {found.at:.3g}x the workload, one at a time, by simulation"
    table = _table(title, "figure", "may become", "beyond it fails", "not of")
    for margin in found.margins:
        what = margin.what.replace(f"{plan.demands[0].model}/", "") if _one_model(plan) else margin.what
        table.add_row(
            what if margin.grows else f"{what}, shrinking",
            _factor(margin, found.farthest),
            "–" if margin.fails is None else _short(plan, margin.fails),
            ", ".join(margin.rivals) or ("–" if margin.fails is None else "none of the others"),
        )
    console.print(table)
    console.print(f"factors are good to {found.resolution:.0%}, and to the noise of one seed", soft_wrap=True)


def _factor(margin: Margin, farthest: float) -> str:
    if margin.fails is not None:
        return f"{margin.factor:.2f}x"
    if not margin.factor:
        return "nothing"
    return f"{margin.factor:.2g}x" + (" and more" if margin.factor >= farthest else ": all requests")


def _executors(plan: Plan) -> Table:
    title = "executors"
    table = _table(title, "executor", "instances", "batch limits", "places", "used", "binding")
    for executor in plan.executors:
        places = Counter(place.node for place in executor.instances)
        where = [f"{node} x{count}" if count > 1 else node for node, count in places.items()]
        shown = ", ".join(where[:4]) + (f", … {len(where)} nodes" if len(where) > 4 else "")
        used = executor.usage[0]
        table.add_row(
            executor.name,
            str(len(executor.instances)),
            " ".join(str(member.max_batch) for member in executor.members),
            shown,
            f"{used.used:.0%} of {used.limit:.0%}",
            _binding(executor),
        )
    return table


def _binding(executor: Executor) -> str:
    """The scarcest resource; in brackets if it is not used up."""
    used = executor.usage[0]
    name = used.resource
    return name if used.used > 0.97 * used.limit else f"({name})"


def _request_types(plan: Plan) -> Table:
    table = _table("request types", "type", "per s", "unloaded", "p50", "p99", "goodput per s", "routes")
    for name, known in plan.predicted.items():
        routes = sum(1 for _ in plan.routes_of(name))
        table.add_row(
            _short(plan, name),
            f"{known.rate_hz:.3g}",
            _seconds(known.unloaded_s),
            _seconds(known.p50_s),
            _seconds(known.p99_s),
            "–" if known.goodput_hz is None else f"{known.goodput_hz:.3g}",
            str(routes),
        )
    return table


def _side_by_side(plan: Plan, decision: Decision) -> Table:
    rivals = _rivals(decision)
    table = _table("p50 / p99 on as many devices, simulated at the same rates", "type", *rivals)
    for name in plan.predicted:
        known = [rival.times_s.get(name) for rival in rivals.values()]
        table.add_row(_short(plan, name), *("–" if not t else f"{t[0]:.3g} / {t[1]:.3g} s" for t in known))
    return table


def _alternatives(plan: Plan, decision: Decision | None, others: Sequence[Alternative]) -> Table:
    devices = ", ".join(f"{count} {name}" for name, count in plan.totals.devices.items())
    title = f"on {devices}, as multiples of this workload"
    ceiling = f"capacity, {plan.workload.ceiling:.0%} busy"
    table = _table(title, "deployment", "goodput", ceiling, "cost per hour for this workload")
    rivals = _rivals(decision) if decision else {}
    cost, capacity = f"{plan.totals.cost_per_hour:.4g}", f"{plan.served_multiple:.2f}x"
    table.add_row(THIS, _goodput(rivals.get(THIS)), capacity, cost, style="bold")
    known = {other.name: other for other in others}
    for name in dict.fromkeys((*known, *rivals)):
        if name != THIS:
            other = known.get(name)
            bound = _capacity(other, "at most ") if other else "–"
            table.add_row(name, _goodput(rivals.get(name)), bound, _cost(other) if other else "–")
    return table


def _goodput(rival: Rival | None) -> str:
    return "–" if rival is None else f"{rival.goodput.multiple:.2f}x ± {rival.goodput.half_width:.2f}"


def _summary(planned: Planned) -> Text:
    plan, objective = planned.plan, planned.plan.objective
    devices = ", ".join(f"{count} {name}" for name, count in plan.totals.devices.items())
    head = f"{devices} on {plan.totals.nodes} node(s), {plan.totals.cost_per_hour:.4g} per hour"
    proof = "; ".join(map(_stage, objective.stages))
    size = f"over {objective.candidates} executor types ({planned.considered} before dominated ones went)"
    ended = (
        "" if objective.finished else "; the time limit ended the search: another run may find another plan"
    )
    return Text.assemble(
        ("✓ ", "green"), (head, "bold"), f": {proof}; {size}, {planned.seconds:.1f} s{ended}"
    )


def _stage(stage: Stage) -> str:
    proven = "proven optimal" if stage.gap == 0 else f"{stage.gap:.1%} from the bound {stage.bound:.4g}"
    return f"{stage.name} {stage.value:.4g} {stage.unit}, {proven}"


def _short(plan: Plan, name: str) -> str:
    """A name without its model, where there is but one."""
    return name.partition("/")[2] if _one_model(plan) else name


def _one_model(plan: Plan) -> bool:
    return len({demand.model for demand in plan.demands}) == 1


def _cost(other: Alternative) -> str:
    if other.cost_per_hour is not None:
        return f"{other.cost_per_hour:.4g}"
    return "cluster too small" if other.in_time else NOT_FOUND


def _capacity(other: Alternative, at_most: str = "") -> str:
    """The multiple that it serves; at 0 these devices lack the memory for one of it."""
    if other.served:
        return f"{at_most}{other.served:.2f}x"
    return "does not fit" if other.in_time else NOT_FOUND


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g} s"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
