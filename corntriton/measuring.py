"""The commands that measure: `profile` components, `bench` a deployment that runs, `rehearse` a plan."""

from __future__ import annotations

from pathlib import Path as File
from typing import Annotated

import typer
from rich.console import Console

from corntriton.commands import (
    FAILURE,
    INTERRUPTED,
    Backends,
    Json,
    Models,
    command,
    error_console,
    print_json,
)
from corntriton.errors import Problem, UserError


@command
def profile(
    models: Models,
    output: Annotated[File, typer.Option("--output", "-o", metavar="FILE", help="Where profiles.json goes.")],
    together: Annotated[
        list[str] | None, typer.Option(metavar="A,B", help="Measure these in one process, too; repeatable.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="COMPONENT", help="Measure only this by itself; repeatable.")
    ] = None,
    workload: Annotated[
        str | None, typer.Option(help="A workload.yaml: whose requests, and work that nothing else tells.")
    ] = None,
    works: Annotated[int, typer.Option(min=1, help="Most sizes of work for each component.")] = 4,
    budget: Annotated[
        float | None, typer.Option(metavar="MINUTES", min=0, help="What it may take; the rest is left.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="The name of the device type; default: its own.")] = None,
    backends: Annotated[
        Backends, typer.Option(help="What the server has; as for build.")
    ] = Backends.embedded,
    tritonserver: Annotated[str | None, typer.Option(help="The program to start.")] = None,
    python: Annotated[str | None, typer.Option(help="The interpreter that runs the components.")] = None,
    as_json: Json = False,
) -> None:
    """Measure components on the real server."""
    from corntriton.profiler import profile as profiling
    from corntriton.profiler.survey import Survey
    from corntriton.report import profiling as report
    from corntriton.serving.launch import find_launcher

    sets = [[name.strip() for name in each.split(",")] for each in together or ()]
    survey = Survey(models, sets, only or (), workload, backends.value)
    budget_s = None if budget is None else 60 * budget
    options = profiling.Options(works, budget_s, device, backends.value)
    launcher = find_launcher(tritonserver, python)
    try:
        with report.Bar(error_console(), as_json) as bar:
            result = profiling.profile(survey, output, launcher, options, bar)
    except KeyboardInterrupt:
        kept = profiling.partial_file(output)
        said = f"what was measured is in {kept}; the same command goes on from there" if kept.exists() else ""
        error_console().print(f"interrupted; {said or 'nothing was measured yet'}")
        raise typer.Exit(INTERRUPTED) from None
    print_json(report.to_json(result)) if as_json else report.show(result, output, Console(highlight=False))
    if result.failures or result.missing:
        raise typer.Exit(FAILURE)


@command
def bench(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="grpc://HOST:PORT of a deployment.")],
    workload: Annotated[str, typer.Option(help="A workload.yaml: the mix, the rate, the targets.")],
    model: Annotated[
        list[File] | None,
        typer.Option(metavar="MODEL", help="What is served; default: the model beside the workload."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Requests per second; default: the workload's.")
    ] = None,
    duration: Annotated[float, typer.Option(min=1, help="Seconds to send for.")] = 60.0,
    warm_up: Annotated[
        float | None, typer.Option(min=0, help="Of them, seconds that do not count; default: a tenth.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed sends the same requests.")] = 0,
    stream: Annotated[
        bool, typer.Option("--stream", help="Have answers streamed, also where no target needs it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a workload to a running deployment, and judge it."""
    from corntriton.load import bench as benching
    from corntriton.report import load as report

    if warm_up is not None and warm_up >= duration:
        fix = "make --warm-up shorter than --duration"
        raise UserError([Problem("bench", "--warm-up", f"leaves nothing of {duration:g} s", fix)])
    options = benching.Options(rate, duration, warm_up, seed, stream)
    with report.Bar(error_console(), duration, as_json) as bar:
        found = benching.bench(address, workload, model or (), options, bar.sent)
    print_json(report.to_json(found)) if as_json else report.show(found, Console(highlight=False))


@command
def rehearse(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="A plan.json.")],
    compare: Annotated[
        bool, typer.Option("--compare", help="Beside monolith and full disaggregation on as many devices.")
    ] = False,
    slower: Annotated[
        float | None,
        typer.Option(metavar="X", min=1e-4, help="Real seconds per second of the plan; default: what works."),
    ] = None,
    requests: Annotated[
        int | None, typer.Option(min=50, help="In each play; default: four times the longest target.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Independent searches of the goodput.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the first.")] = 0,
    search: Annotated[bool, typer.Option(help="Search the goodput; else one play only.")] = True,
    html: Annotated[
        File | None, typer.Option("--html", metavar="FILE", help="Write a page with plots.")
    ] = None,
    tritonserver: Annotated[str | None, typer.Option(help="The program to start.")] = None,
    python: Annotated[str | None, typer.Option(help="The interpreter that runs the stand-ins.")] = None,
    as_json: Json = False,
) -> None:
    """Run a plan on the real server, with stand-ins for its devices."""
    from corntriton.planner.reading import read_plan
    from corntriton.rehearsal import rehearse as rehearsing
    from corntriton.rehearsal.rivals import rivals_of
    from corntriton.report import rehearsal as report
    from corntriton.report.rehearsal_page import check_page, write_page
    from corntriton.serving.launch import find_launcher

    if html is not None:
        check_page(html)
    read = read_plan(plan)
    launcher = find_launcher(tritonserver, python)
    options = rehearsing.Options(slower, seeds, seed, requests, search)
    with error_console().status("planning") as status:
        rivals = rivals_of(read, seed) if compare else {}
        plans = {report.PLANNED: read, **{name: one for name, one in rivals.items() if one is not None}}
        found = rehearsing.rehearse(plans, launcher, options, status.update)
    missing = [name for name, one in rivals.items() if one is None]
    if html is not None:
        write_page(found, html)
    if as_json:
        print_json(report.to_json(found, missing))
    else:
        report.show(found, missing, Console(highlight=False))
