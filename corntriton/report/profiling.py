"""What was measured, for people as a table and for machines as plain data; and how far it is meanwhile."""

from __future__ import annotations

from pathlib import Path as File
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from corntriton.profiler import profile as profiling
from corntriton.profiler.profile import Result
from corntriton.profiler.reading import Reading
from corntriton.profiler.steady import CRITERION, outliers

# Of the machine's cores: more taken by others is worth a warning.
_NOT_QUIET = 0.1


class Bar(Progress, profiling.Progress):
    """A progress bar with the time that is probably left."""

    def __init__(self, console: Console, silent: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        super().__init__(*columns, console=console, transient=True, disable=silent)
        self._bar = self.add_task("starting", total=None)

    def stage(self, what: str) -> None:
        """Something without measurable progress begins."""
        self.update(self._bar, description=what)

    def points(self, total: int) -> None:
        """The number of points is known."""
        self.reset(self._bar, total=total)

    def point(self, what: str) -> None:
        """A point begins."""
        self.update(self._bar, description=what)

    def done(self) -> None:
        """A point is over."""
        self.advance(self._bar)


def to_json(result: Result) -> dict[str, Any]:
    """Everything that is known of each point, beside the profiles that were written."""
    return {
        "profiles": result.profiles and result.profiles.model_dump(mode="json", exclude_defaults=True),
        "readings": [_reading_json(each) for each in result.readings],
        "measured": result.measured,
        "left": result.left,
        "failures": result.failures,
        "missing": result.missing,
        "replaced": [_named(each.component, each.beside) for each in result.replaced],
    }


def show(result: Result, output: File, console: Console) -> None:
    """Prints a row for each point, memory and start-up, and what has to be known to believe them."""
    if result.readings:
        console.print(_times(result.readings))
        console.print(f"{CRITERION}; what was cut is warm-up; what is far out counts")
        console.print(_costs(result))
        others = float(np.median([each.others for each in result.readings]))
        if others > _NOT_QUIET:
            said = f"other programs took {others:.0%} of the cores meanwhile: times are longer than need be"
            console.print(said, style="yellow", soft_wrap=True)
    for each in result.replaced:
        was = f"{each.provenance.how} before ({each.provenance.source})"
        said = f"{_named(each.component, each.beside)}: measured now, {was}"
        console.print(said, soft_wrap=True, markup=False)
    for text in result.failures:
        console.print(f"not measured: {text}", style="red", soft_wrap=True, markup=False)
    if result.missing:
        said = f"without any reading: {', '.join(result.missing)}"
        console.print(said, style="red", soft_wrap=True, markup=False)
    if result.left:
        console.print(
            f"the budget left out {result.left} points; the same command goes on from "
            f"{profiling.partial_file(output)}",
            style="yellow",
            soft_wrap=True,
        )
    if result.profiles:
        before = len(result.readings) - result.measured
        earlier = f" ({before} from an earlier run)" if before else ""
        console.print(f"[green]✓[/] {output}: {len(result.readings)} points{earlier}", soft_wrap=True)


def _times(readings: list[Reading]) -> Table:
    """A line for each point; of the runs, how many were cut off before them and how many are outliers."""
    table = Table(title="times", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("component", overflow="fold")
    for heading in ("batch", "work", "p50", "p95", "longest", "runs", "first chunk", "saturated", "queue"):
        table.add_column(heading, justify="right", no_wrap=True)
    one_model = len({each.component.partition("/")[0] for each in readings}) == 1
    last = ""
    for each in sorted(readings, key=lambda r: (r.component, r.beside, r.work, r.batch)):
        name = _named(each.component, each.beside)
        if one_model:
            name = name.replace(f"{each.component.partition('/')[0]}/", "")
        p50, p95 = np.percentile(each.times_s, [50, 95])
        table.add_row(
            "" if name == last else name,
            str(each.batch),
            f"{each.work:g}",
            *(_s(value) for value in (p50, p95, max(each.times_s))),
            _runs(each),
            _s(float(np.mean(each.first_s))) if each.first_s else "",
            _s(each.saturated_s) if each.saturated_s else "",
            _s(each.queue_s) if each.queue_s is not None else "",
        )
        last = name
    return table


def _runs(each: Reading) -> str:
    """`12`, or `12 (3 cut, 1 far out, unsteady)`."""
    far = outliers(each.times_s)
    said = [f"{each.cut} cut"] * bool(each.cut) + [f"{far} far out"] * bool(far)
    said += [] if each.steady else ["unsteady"]
    return f"{len(each.times_s)} ({', '.join(said)})" if said else str(len(each.times_s))


def _costs(result: Result) -> Table:
    table = Table(title="memory and start-up", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("component", overflow="fold")
    for heading in ("weights", "per item", "per item and work", "start-up"):
        table.add_column(heading, justify="right")
    for profile in result.new:
        memory = profile.memory
        sizes = (memory.weights_bytes, memory.item_bytes, memory.work_bytes)
        name = _named(profile.component, profile.beside)
        table.add_row(name, *(_nbytes(size) for size in sizes), _s(profile.start_up_s or 0.0))
    return table


def _reading_json(each: Reading) -> dict[str, Any]:
    return {
        "component": each.component,
        "beside": list(each.beside),
        "batch": each.batch,
        "work": each.work,
        "times_s": list(each.times_s),
        "warm_up": each.cut,
        "steady": each.steady,
        "outliers": outliers(each.times_s),
        "first_chunk_s": list(each.first_s),
        "chunks": each.chunks,
        "saturated": each.saturated_s
        and {"batch_s": each.saturated_s, "queue_s": each.queue_s, "rows": each.rows},
        "start_up_s": each.start_up_s,
        "weights_bytes": each.weights_bytes,
        "batch_bytes": each.batch_bytes,
        "outputs": dict(each.outputs),
        "others": each.others,
        "made_up": each.synthetic,
    }


def _named(component: str, beside: tuple[str, ...]) -> str:
    return f"{component} beside {', '.join(beside)}" if beside else component


def _s(value: float) -> str:
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


def _nbytes(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
