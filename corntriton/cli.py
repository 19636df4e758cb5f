"""The commands: each parses its arguments, calls one function of a room, prints; errors end in one place."""

from __future__ import annotations

import shlex
import sys
import traceback
from pathlib import Path as File
from typing import Annotated

import typer
from rich.console import Console

import corntriton
from corntriton.commands import (
    FAILURE,
    Backends,
    Json,
    Models,
    app,
    command,
    error_console,
    print_json,
)
from corntriton.errors import Problem, UserError


def main() -> None:
    """The entry point of `corntriton`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # an ASCII terminal gets ? for a line of a drawing
    try:
        app()
    except Exception:
        traceback.print_exc()
        message = "corntriton: this is a bug, not a fault of yours; please report it with the lines above"
        print(message, file=sys.stderr)
        sys.exit(FAILURE)


@command
def check(models: Models, as_json: Json = False) -> None:
    """Validate models, record every request type, and draw the graph."""
    from corntriton import check as checking
    from corntriton.spec.load import load_models

    loaded = load_models(models)
    if as_json:
        print_json(checking.to_json(loaded))
    else:
        checking.show(loaded, Console(highlight=False))


@command
def build(
    models: Models,
    output: Annotated[File, typer.Option("--output", "-o", metavar="DIR", help="The folder to write.")],
    backends: Annotated[
        Backends, typer.Option(help="embedded: Python backend on CPU; ngc: all backends of NVIDIA's image.")
    ] = Backends.embedded,
    plan: Annotated[
        str | None, typer.Option(metavar="PLAN", help="A plan.json; without one each component is by itself.")
    ] = None,
    templates: Annotated[
        File | None, typer.Option(metavar="DIR", help="Templates that win over the shipped ones.")
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Link to weights, for development on one machine.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the model repository that tritonserver loads."""
    from rich.progress import Progress

    from corntriton.planner.reading import read_plan
    from corntriton.repository import build as building
    from corntriton.repository.summary import show
    from corntriton.spec.load import load_models

    loaded = load_models(models)
    read = read_plan(plan) if plan is not None else None
    with Progress(console=error_console(), transient=True, disable=as_json) as progress:
        task = progress.add_task("writing models", total=None)
        manifest = building.build(
            loaded,
            output,
            backends.value,
            templates,
            link,
            lambda total: progress.update(task, total=total, advance=1),
            read,
            plan or "",
        )
    print(manifest.to_json(), end="") if as_json else show(manifest, output, Console(highlight=False))


@command
def plan(
    models: Models,
    workload: Annotated[str, typer.Option(help="A workload.yaml.")],
    cluster: Annotated[str, typer.Option(help="A cluster.yaml.")],
    profiles: Annotated[str, typer.Option(help="A profiles.json.")],
    output: Annotated[File | None, typer.Option("--output", "-o", help="Where plan.json goes.")] = None,
    maximize: Annotated[
        bool, typer.Option("--maximize", help="Serve the most that the cluster can, whatever it costs.")
    ] = False,
    running: Annotated[
        str | None, typer.Option("--from", metavar="PLAN", help="A running plan, to change as little.")
    ] = None,
    explain: Annotated[str | None, typer.Option(metavar="COMPONENT", help="Why it is where it is.")] = None,
    time_limit: Annotated[float, typer.Option(min=0.1, help="Seconds for each search of the solver.")] = 60.0,
    compare: Annotated[bool, typer.Option(help="Also solve for monolith and others.")] = True,
    simulate: Annotated[bool, typer.Option(help="Let plans compete in simulations, for goodput.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Of simulations; the same seed gives the same plan.")] = 0,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="How far rate, shares and times may move.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find the best deployment of a workload on a cluster."""
    from corntriton.planner import compare as comparing
    from corntriton.planner import decide as deciding
    from corntriton.planner.explain import explain as explain_component
    from corntriton.planner.explain import find_component
    from corntriton.planner.planning import Options, make_plan
    from corntriton.planner.reading import check_writable, read_plan, write_plan
    from corntriton.planner.sensitivity import sensitivity as find_margins
    from corntriton.planner.task import read_task
    from corntriton.report import planning as report

    if sensitivity and not simulate:
        raise UserError([Problem("plan", "--sensitivity", "is found by simulation", "drop --no-simulate")])
    if output is not None:
        check_writable(output)
    task = read_task(models, workload, cluster, profiles)
    why = find_component(task, explain) if explain is not None else None
    old = read_plan(running) if running is not None else None
    options = Options("served" if maximize else "cost", time_limit_s=time_limit, running=old)
    with error_console().status("planning"):
        decision = deciding.decide(task, options, seed) if simulate else None
        planned = decision.planned if decision else deciding.not_simulated(make_plan(task, options))
        if output is not None:
            write_plan(planned.plan, output)
        others = comparing.alternatives(task, planned, options) if compare else []
        prices = comparing.prices_of_devices(planned) if compare else {}
        explanation = explain_component(task, planned, options, why) if why else None
        margins = find_margins(decision, seed) if decision and sensitivity else None
    if as_json:
        print_json(report.to_json(planned, decision, others, prices, explanation, margins))
        return
    console = Console(highlight=False)
    report.show(planned, decision, others, prices, console)
    if explanation is not None:
        report.show_explanation(explanation, console)
    if margins is not None:
        report.show_sensitivity(planned.plan, margins, console)


@command
def simulate(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="A plan.json.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")] = 0,
    requests: Annotated[int, typer.Option(min=100, help="How many arrive, all types together.")] = 5000,
    rate_multiple: Annotated[
        float, typer.Option(min=0.001, help="Times the workload's rate; the goodput is searched anyway.")
    ] = 1.0,
    trace: Annotated[
        File | None, typer.Option(metavar="FILE", help="Where a trace for Perfetto or chrome://tracing goes.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict goodput, latencies and utilisation of a plan."""
    from corntriton.planner import goodput, simulate
    from corntriton.planner import trace as tracing
    from corntriton.planner.reading import read_plan
    from corntriton.report import simulation as report

    read = read_plan(plan)
    with error_console().status("simulating"):
        seen = simulate.simulate(
            read, seed=seed, requests=requests, rate_multiple=rate_multiple, spans=trace is not None
        )
        found = goodput.goodput(read, seed=seed, requests=requests)
    if trace is not None:
        tracing.write_trace(seen, trace)
    if as_json:
        print_json(report.to_json(read, seen, found))
    else:
        report.show(read, seen, found, rate_multiple, Console(highlight=False))


@command
def serve(
    directory: Annotated[File, typer.Argument(metavar="DIR", help="A build, or a model repository.")],
    http_port: Annotated[int, typer.Option(help="0 for any free one.")] = 8000,
    grpc_port: Annotated[int, typer.Option(help="0 for any free one.")] = 8001,
    metrics_port: Annotated[int, typer.Option(help="0 for any free one.")] = 8002,
    free_ports: Annotated[bool, typer.Option("--free-ports", help="Any free ports.")] = False,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    servers: Annotated[
        str | None,
        typer.Option(metavar="ROLE=HOST:PORT,…", help="Of a plan for several nodes: where the others are."),
    ] = None,
    tritonserver: Annotated[str | None, typer.Option(help="The program to start.")] = None,
    python: Annotated[str | None, typer.Option(help="The interpreter that runs the components.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that loading may take.")] = 600.0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the whole log.")] = False,
    print_command: Annotated[
        bool, typer.Option("--print-command", help="Print how to serve it from NVIDIA's container; no more.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start tritonserver on a build, or one for each of its nodes, and hold it until Ctrl-C."""
    from corntriton.deploy.docker import docker_command
    from corntriton.serving import command as serving
    from corntriton.serving.deployment import read_deployment, read_nodes
    from corntriton.serving.fleet import Fleet
    from corntriton.serving.launch import find_launcher
    from corntriton.serving.peers import missing, peers_of
    from corntriton.serving.ports import FREE_PORTS, Ports

    ports = FREE_PORTS if free_ports else Ports(http_port, grpc_port, metrics_port)
    if print_command:
        deployment = read_deployment(directory)
        words = docker_command(deployment, ports, peers_of({"": deployment}, servers))
        print_json({"command": words}) if as_json else print(shlex.join(words))
        return
    deployments, console = read_nodes(directory), error_console()
    environment = peers_of(deployments, servers)
    if warning := missing(deployments, environment):
        console.print(f"[yellow]warning:[/] {warning}")
    fleet = Fleet(
        deployments,
        find_launcher(tritonserver, python),
        environment=environment,
        ports=ports,
        host=host,
        ready_timeout_s=timeout,
        on_line=serving.printer(console, verbose),
    )

    def announce() -> None:
        if as_json:
            print_json(serving.to_json(deployments, fleet.servers))
            sys.stdout.flush()
        else:
            serving.show(deployments, fleet.servers, Console(highlight=False))

    n_models = sum(len(each.models) for each in deployments.values())
    serving.serve_until_stopped(fleet, n_models, console, announce)


@command
def deploy(
    directory: Annotated[File, typer.Argument(metavar="DIR", help="A build for NVIDIA's images.")],
    to: Annotated[str, typer.Option("--to", metavar="TARGET", help="ngc, compose or helm.")],
    output: Annotated[File, typer.Option("--output", "-o", metavar="OUT", help="The folder to write.")],
    release: Annotated[
        str | None, typer.Option(metavar="YY.MM", help="NVIDIA's release; the newest known by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write what runs a build in containers or on Kubernetes."""
    from corntriton.deploy import command as deploying
    from corntriton.deploy.backends import RELEASE
    from corntriton.deploy.summary import show

    deployed = deploying.deploy(directory, to, output, release or RELEASE)
    if as_json:
        print_json(deploying.to_json(deployed, output))
    else:
        show(deployed, output, Console(highlight=False))


def _print_version(asked: bool) -> None:
    if asked:
        print(corntriton.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that stand before the command; the docstring that people see is the app's help."""


# Last, so that `corntriton --help` lists the commands in the order in which they are used.
from corntriton import measuring  # noqa: E402, F401 - adds its commands

if __name__ == "__main__":
    main()
