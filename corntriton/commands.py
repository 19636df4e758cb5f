"""What all commands have in common: the app, the options, how they end, what they print."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path as File
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from corntriton.errors import CorntritonError, Problem, UserError

USER_FAULT, FAILURE, INTERRUPTED = 2, 1, 130

app = typer.Typer(
    help="Plans, generates and runs Triton deployments of any-to-any multimodal models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # what gets this far is a bug: Python's own traceback says most
)

Models = Annotated[list[File], typer.Argument(metavar="MODEL", help="A model.yaml, or the folder of one.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for machines.")]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Makes a function a command; it takes `as_json`, and may raise what corntriton.errors holds."""

    @functools.wraps(function)
    def run(*args: Any, as_json: bool, **kwargs: Any) -> None:
        try:
            function(*args, as_json=as_json, **kwargs)
        except UserError as error:
            report_problems(error.problems, as_json)
            raise typer.Exit(USER_FAULT) from None
        except CorntritonError as error:
            print_json({"error": str(error)}) if as_json else error_console().print(Text(f"Error: {error}"))
            raise typer.Exit(FAILURE) from None

    return app.command()(run)


class Backends(str, Enum):
    """What the server that will load a build has."""

    embedded = "embedded"
    ngc = "ngc"


def report_problems(problems: Iterable[Problem], as_json: bool) -> None:
    """Prints every problem: on stderr for people, as one object on stdout for machines."""
    found = list(problems)
    if as_json:
        print_json({"problems": [vars(problem) for problem in found]})
        return
    console = error_console()
    for problem in found:
        console.print(problem_text(problem))
    console.print(Text(f"{len(found)} problem{'s' if len(found) > 1 else ''}", "bold red"))


def problem_text(problem: Problem) -> Text:
    """`file: $.path: what; To fix: …`, in colours."""
    return Text.assemble(
        (problem.file, "bold"),
        ": ",
        (problem.path, "cyan"),
        ": ",
        problem.what,
        ("; To fix: ", "green"),
        problem.fix,
    )


def print_json(data: object) -> None:
    """One JSON object on stdout."""
    print(json.dumps(data, indent=2, ensure_ascii=False))


def error_console() -> Console:
    """Where messages for people go: stderr, in colours on a terminal, lines left whole."""
    return Console(stderr=True, highlight=False, soft_wrap=True)
