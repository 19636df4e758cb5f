"""The commands that measure: `profile` components on a server of its own, `bench` a deployment that runs."""

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
