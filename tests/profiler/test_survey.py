from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from corntriton.errors import UserError
from corntriton.profiler.items import Item, choose
from corntriton.profiler.survey import BETWEEN, FIRST, MOST, Survey
from corntriton.profiler.work import CALLS, CHUNKS, Measure
from tests.profiler.test_profile import TIMED

WORKLOAD = "rate_hz: 1\nrequest_types: {tell: {share: 1, work: {nap: {mean: 7, cv: 1}}}}\n"


def item(work: float, length: int = 1) -> Item:
    return Item({"text": np.zeros(length)}, work, False, {})


def survey(folder: Path = TIMED, together: tuple[tuple[str, ...], ...] = (), workload: str = "") -> Survey:
    return Survey([folder], together, (), workload or None, "embedded")


@pytest.fixture
def silent(tmp_path: Path) -> Path:
    """The model without examples, and so without measures."""
    shutil.copytree(TIMED, tmp_path / "timed", ignore=shutil.ignore_patterns("examples"))
    return tmp_path / "timed"


def test_of_many_works_the_least_the_most_and_some_between_are_chosen() -> None:
    found = choose([item(work) for work in (1, 2, 3, 50, 90, 99, 100)], most=3)
    assert list(found) == [1, 50, 100]
    assert list(choose([item(5), item(5, 2), item(5)], most=3)) == [5]
    assert len(choose([item(5), item(5, 2), item(5)], most=3)[5]) == 2


def test_batches_of_one_come_first_then_the_largest_then_those_between() -> None:
    items = {"timed/nap": [item(1)], "timed/say": [item(1)]}
    setups = survey(together=(("nap", "say"),)).setups(items, works=4)
    turns = [setup.turn for setup in setups]
    assert turns == sorted(turns)
    assert [setup.batch for setup in setups if setup.turn == BETWEEN] == [2]
    first = {setup.members for setup in setups if setup.turn == FIRST}
    assert first == {("timed/nap",), ("timed/nap", "timed/say")}
    assert sum(setup.turn == MOST for setup in setups) == 3


def test_one_copy_is_measured_whatever_is_declared() -> None:
    subject = survey().subjects["timed/nap"]
    assert subject.served.component.spec.instances == 1
    assert subject.batches == (1, 2, 4)
    stateful = subject.served.component.spec.model_copy(update={"stateful": True})
    served = replace(subject.served, component=replace(subject.served.component, spec=stateful))
    assert replace(subject, served=served).batches == (1,)


def test_work_is_counted_as_written_else_as_the_workload_says_else_by_calls(
    silent: Path, tmp_path: Path
) -> None:
    (tmp_path / "workload.yaml").write_text(WORKLOAD)
    written, unwritten = survey(), survey(silent)
    stated = survey(silent, workload=str(tmp_path / "workload.yaml"))
    count = [each.count("timed/nap", "timed/tell") for each in (written, stated, unwritten)]
    assert isinstance(count[0], Measure)
    assert (count[0].text, count[1], count[2]) == ("words of input text", 7, CALLS)
    assert unwritten.count("timed/say", "timed/tell") == CHUNKS
    assert [each.unit("timed/nap") for each in (written, stated, unwritten)] == [
        "words of input text",
        "as the workload says",
        "calls",
    ]


def test_a_model_without_request_types_cannot_be_measured(silent: Path) -> None:
    text = (silent / "model.yaml").read_text()
    (silent / "model.yaml").write_text(text.replace("  tell: {inputs", "  # tell: {inputs"))
    text = (silent / "model.yaml").read_text().replace("request_types:\n", "request_types: {}\n")
    (silent / "model.yaml").write_text(text)
    with pytest.raises(UserError, match="declares no request type"):
        survey(silent)
