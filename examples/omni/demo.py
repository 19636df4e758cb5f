"""Builds the example, serves it, sends each type of request through Triton's clients, and checks the answers.

    python examples/omni/demo.py [--output demo-output]

Leaves with status 1 when an answer is wrong.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import checks
import get_weights
import media
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from session import Exchange, Session

from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server
from corntriton.spec.load import load_models

MODEL = Path(__file__).with_name("model.yaml")
CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
ALIKE = 0.8  # the share of words that must survive being spoken and heard again

QUESTION = "What is the capital of France?"
WISH = "Please draw the digit seven."
INVOICE = ("Invoice 1234", "Total due: 56.78 EUR")
FRAMES = ("Gate 12", "Flight to Paris", "Boarding at 9:40", "Have a nice trip")


def converse(session: Session) -> Iterator[Exchange]:
    """One request of each type; what the first ones say, the later ones hear."""
    invoice, thanks = media.picture(*INVOICE), media.picture("Thank you for your order")
    frames = [media.picture(line) for line in FRAMES]

    text = session.ask("text_to_text", "http", text=QUESTION)
    says(text, "answer", "Paris")
    yield text

    question = session.ask("text_to_speech", "http", text=QUESTION)
    is_understood(question, QUESTION, session)
    yield question

    wish = session.ask("text_to_speech", "grpc", text=WISH)
    is_understood(wish, WISH, session)
    yield wish

    heard = session.ask("speech_to_text", "grpc", audio=question.speech_as_heard)
    says(heard, "transcript", QUESTION)
    yield heard

    read = session.ask("image_and_text_to_text", "http", text="What is the total due?", images=[invoice])
    says(read, "answer", "is 56.78")
    yield read

    watched = session.ask("video_and_text_to_text", "grpc", text="Where does the flight go?", frames=frames)
    says(watched, "answer", "Paris")
    yield watched

    spoken = session.ask("speech_to_speech", "grpc stream", audio=question.speech_as_heard)
    says(spoken, "answer", "Paris")
    is_understood(spoken, spoken.answer["answer"], session)
    yield spoken

    drawn = session.ask("speech_to_image", "http", audio=wish.speech_as_heard)
    shows(drawn, 7)
    yield drawn

    inputs = {"text": "What is the total due?", "audio": wish.speech_as_heard, "images": [invoice, thanks]}
    everything = session.ask("everything_at_once", "grpc", **inputs)
    says(everything, "answer", "is 56.78")
    is_understood(everything, everything.answer["answer"], session)
    shows(everything, 7)
    yield everything


def says(exchange: Exchange, output: str, expected: str) -> None:
    exchange.check(expected in exchange.answer[output], f"the {output} says “{expected}”")


def is_understood(exchange: Exchange, said: str, session: Session) -> None:
    """The model's own ears judge its speech."""
    heard = session.hear(exchange.speech_as_heard)
    alike = checks.likeness(heard, said)
    exchange.check(alike >= ALIKE, f"{alike:.0%} of the words are heard again: “{heard}”")


def shows(exchange: Exchange, digit: int) -> None:
    """A classifier that was trained on real digits judges the image."""
    seen = checks.digit_in(exchange.answer["image"])
    exchange.check(seen == digit, f"a classifier sees the digit {seen}")


def add_row(table: Table, exchange: Exchange, saved: list[str]) -> None:
    """The request's row; the lines of `path` and `seconds` belong together."""
    path = [f"{name} x {calls}" if calls > 1 else name for name, (calls, _) in exchange.work.items()]
    seconds = [f"{seconds:.2f}" for _, seconds in exchange.work.values()]
    marks = {True: "[green]yes[/]", False: "[red]NO[/]"}
    verdicts = [f"{marks[right]}: {escape(what)}" for right, what in exchange.verdicts]
    table.add_row(
        f"{exchange.request_type}\n[dim]{exchange.way}[/]",
        "\n".join([*path, "[bold]all[/]"]),
        "\n".join([*seconds, f"[bold]{exchange.total_s:.2f}[/]"]),
        escape("\n".join(saved)),
        "\n".join(verdicts),
    )


@contextmanager
def step(what: str) -> Iterator[None]:
    """Says how long a part of the demo took."""
    began_s = time.monotonic()
    with CONSOLE.status(what):
        yield
    CONSOLE.print(f"{what}: {time.monotonic() - began_s:.1f} s")


def build(folder: Path) -> None:
    """Gets the weights and runs `corntriton build`, as one would by hand."""
    os.environ["CORNTRITON_WEIGHTS"] = str(get_weights.get_weights())
    corntriton = Path(sys.executable).with_name("corntriton")
    with step("building"):
        subprocess.run([corntriton, "build", MODEL, "-o", folder, "--link"], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Builds, serves and tries the omni example.")
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="folder for what comes back")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    began_s = time.monotonic()

    build(folder / "build")
    (model,) = load_models([MODEL])
    server = Server(read_deployment(folder / "build"), find_launcher())
    table = Table("request type", "path", "seconds", "what came back", "right?", show_lines=True)
    table.caption = "Seconds per component are those of its calls, waiting included; some run side by side."
    with step("loading the components into tritonserver"):
        server.start()
    try:
        exchanges = []
        for exchange in converse(Session(server, model)):
            CONSOLE.print(f"{exchange.request_type}: {exchange.total_s:.1f} s")
            add_row(table, exchange, exchange.save(folder / f"{len(exchanges) + 1}-{exchange.request_type}"))
            exchanges.append(exchange)
    finally:
        server.stop()
    CONSOLE.print(table)
    wrong = sum(not exchange.right for exchange in exchanges)
    CONSOLE.print(
        f"{len(exchanges)} requests, {wrong} wrong, {time.monotonic() - began_s:.0f} s; see {folder}/"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
