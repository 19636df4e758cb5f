from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from corntriton.profiler.profile import Result
from corntriton.report.profiling import show
from tests.profiler.readings import READING


def shown(result: Result) -> str:
    console = Console(file=StringIO(), width=160)
    show(result, Path("profiles.json"), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_each_point_is_a_row_that_hides_nothing() -> None:
    times_s = (*[1.0] * 9, 5.0)
    said = shown(Result(None, readings=[replace(READING, times_s=times_s, steady=False)]))
    assert "10 (1 cut, 1 far out, unsteady)" in said
    assert "5 s" in said


def test_what_is_missing_and_what_was_in_the_way_is_said() -> None:
    result = Result(
        None, readings=[replace(READING, others=0.6)], left=3, missing=["m/a"], failures=["m/b: no"]
    )
    said = shown(result)
    for words in (
        "other programs took 60% of the cores",
        "the budget left out 3 points",
        "without any reading: m/a",
        "not measured: m/b: no",
        "profiles.json.partial",
    ):
        assert words in said
