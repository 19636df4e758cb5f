"""Rehearsals as an HTML page with plots: what the tables say, and distributions; needs plotly."""

from __future__ import annotations

import html
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path as File
from typing import Any

import numpy as np

from corntriton.errors import Problem, UserError
from corntriton.rehearsal.rehearse import Play, Rehearsed, mean
from corntriton.report.rehearsal import p99_ratio, throughput_ratio

_POINTS = 200  # of a distribution that is drawn
_PREDICTED, _MEASURED = "#9aa5b1", "#2563eb"


def check_page(file: File) -> None:
    """Refuses a page that could not be written, before anybody waits for it.

    Raises:
        UserError: plotly is absent, or the folder is.
    """
    if importlib.util.find_spec("plotly") is None:
        raise UserError([Problem("rehearse", "--html", "needs plotly", "pip install plotly")])
    if not file.parent.is_dir():
        raise UserError([Problem("rehearse", "--html", f"{file.parent} is no folder", "create it")])


def write_page(found: Sequence[Rehearsed], file: File) -> None:
    """Writes one page that needs nothing beside it."""
    parts = [_HEAD, _goodputs(found)]
    scripts: bool | str = True  # plotly itself goes into the first plot only
    for one in found:
        if one.common is None:
            continue
        about = f"{one.name} at {one.common.multiple:.2f}x the workload"
        parts.append(f"<h2>{html.escape(about)}</h2>")
        for figure in _figures(one, one.common):
            parts.append(figure.to_html(full_html=False, include_plotlyjs=scripts))
            scripts = False
    file.write_text("\n".join([*parts, "</body></html>", ""]), encoding="utf-8")


def _figures(one: Rehearsed, play: Play) -> Iterator[Any]:
    import plotly.graph_objects as plots

    yield _latencies(plots, one, play)
    yield _parts(plots, play)
    yield _busy(plots, one, play)


def _latencies(plots: Any, one: Rehearsed, play: Play) -> Any:
    """The distribution of each type's time over its target, predicted dotted."""
    figure = plots.Figure(layout=_layout("share of requests answered within", "seconds"))
    palette = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#4b5563")
    for number, demand in enumerate(one.plan.demands):
        colour = palette[number % len(palette)]
        measured = play.measured.simulation
        for name, seen, dash in (("predicted", play.predicted, "dot"), ("measured", measured, "solid")):
            times_s = seen.outcomes[demand.name].completion_s
            if len(times_s):
                shares = np.linspace(0, 1, _POINTS)
                line = {"color": colour, "dash": dash}
                curve = np.quantile(times_s, shares)
                label = f"{demand.name.partition('/')[2]}, {name}"
                figure.add_scatter(x=curve, y=shares, name=label, line=line, mode="lines")
    return figure


def _parts(plots: Any, play: Play) -> Any:
    """Where a request spent its time, along the steps that it waited for."""
    figure = plots.Figure(layout=_layout("where a request spent its time, on average", "seconds"))
    names = sorted({name for each in play.measured.parts.values() for name in each.working_s})
    types = [*play.measured.parts]
    labels = [name.partition("/")[2] for name in types]
    for name in names:
        short = name.partition("/")[2]
        for said, pattern in (("waiting for", "/"), ("at", "")):
            field = "waiting_s" if pattern else "working_s"
            values = [getattr(play.measured.parts[kind], field).get(name, 0.0) for kind in types]
            marker = {"pattern": {"shape": pattern}}
            figure.add_bar(y=labels, x=values, name=f"{said} {short}", orientation="h", marker=marker)
    figure.update_layout(barmode="stack")
    return figure


def _busy(plots: Any, one: Rehearsed, play: Play) -> Any:
    figure = plots.Figure(layout=_layout("share of the time that devices worked", "share"))
    names = [executor.name for executor in one.plan.executors]
    predicted = [_predicted_busy(play, name) for name in names]
    measured = [play.measured.uses[name].busy for name in names]
    figure.add_bar(y=names, x=predicted, name="predicted", orientation="h", marker={"color": _PREDICTED})
    figure.add_bar(y=names, x=measured, name="measured", orientation="h", marker={"color": _MEASURED})
    figure.update_xaxes(range=[0, 1])
    return figure


def _predicted_busy(play: Play, executor: str) -> float:
    """Averaged over its nodes."""
    return mean([share for site, share in play.predicted.busy.items() if site.startswith(f"{executor} on ")])


def _layout(title: str, unit: str) -> dict[str, Any]:
    return {"title": title, "xaxis_title": unit, "template": "plotly_white", "margin": {"l": 220}}


def _goodputs(found: Sequence[Rehearsed]) -> str:
    rows = []
    for one in found:
        ratios = [throughput_ratio(found[0], one), p99_ratio(found[0], one)] if one is not found[0] else []
        cells = [
            html.escape(one.name),
            f"{mean(one.predicted):.2f}x",
            f"{mean(one.measured):.2f}x" if one.measured else "-",
            f"{one.error:+.1%}" if one.error is not None else "-",
            *(f"{ratio:.2f}x" if ratio is not None else "-" for ratio in (*ratios, None, None)[:2]),
            f"x{one.slower:g}",
            f"{one.delay_real_s * 1e3:.1f} ms",
            f"{one.cpu:.0%}" + (": the bottleneck" if one.machine_is_bottleneck else ""),
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return f"<table>{_HEADINGS}{''.join(rows)}</table>"


_HEADINGS = "".join(
    f"<th>{name}</th>"
    for name in (
        "deployment", "goodput predicted", "measured", "error", "this plan serves", "its p99 is less by",
        "time scale", "this machine, per step", "its CPUs",
    )
)  # fmt: skip
_HEAD = """<!doctype html><html><head><meta charset="utf-8"><title>rehearsal</title><style>
body { font-family: system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; color: #1f2937; }
table { border-collapse: collapse; } th, td { padding: 0.3rem 0.8rem; text-align: right; }
th { border-bottom: 1px solid #9aa5b1; }
td:first-child, th:first-child { text-align: left; }
</style></head><body><h1>Rehearsal</h1>
<p>The plan on the real tritonserver, each component replaced by a stand-in that sleeps for the profiled time:
this proves queueing, routing, batching and overhead, not the times of devices. Goodput is in times the
workload; times are seconds of the plan.</p>"""
