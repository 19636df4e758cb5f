from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corntriton.errors import UserError
from corntriton.repository import publish
from corntriton.repository.publish import replacing

WRITE_FOR_EVER = """
import itertools, sys
from pathlib import Path
from corntriton.repository.publish import replacing

for number in itertools.count():
    with replacing(Path(sys.argv[1]), "mark") as folder:
        for part in range(20):
            (folder / f"part{part}").write_text(str(number))
        (folder / "mark").write_text(str(number))
    print(number, flush=True)
"""


def write(target: Path, text: str) -> None:
    with replacing(target, "mark") as folder:
        (folder / "mark").write_text(text)


def test_a_new_an_empty_and_an_earlier_target_are_written(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "new", "1")
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "1")
    write(tmp_path / "empty", "2")
    assert (tmp_path / "deep" / "new" / "mark").read_text() == "1"
    assert (tmp_path / "empty" / "mark").read_text() == "2"
    assert {file.name for file in tmp_path.iterdir()} == {"deep", "empty"}


def test_what_is_no_earlier_build_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="holds other things"):
        write(tmp_path, "1")
    with pytest.raises(UserError, match="is a file"):
        write(tmp_path / "thesis.txt", "1")
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_failure_leaves_the_earlier_build_and_no_rest(tmp_path: Path) -> None:
    write(tmp_path / "out", "1")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "out", "mark") as folder:
        (folder / "mark").write_text(str(1 / 0))
    assert (tmp_path / "out" / "mark").read_text() == "1"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_file_systems_without_exchange_are_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "_exchange", lambda first, second: False)
    write(tmp_path / "out", "1")
    write(tmp_path / "out", "2")
    assert (tmp_path / "out" / "mark").read_text() == "2"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_killed_at_any_time_it_leaves_a_whole_build_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    target, dice = tmp_path / "out", random.Random(7)
    for _ in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", WRITE_FOR_EVER, str(target)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(dice.random() * 0.02)
            process.send_signal(signal.SIGKILL)
        assert len({file.read_text() for file in target.iterdir()}) == 1
        assert len(list(target.iterdir())) == 21
    write(target, "last")
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_two_builds_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    with replacing(tmp_path / "out", "mark") as slow:
        write(tmp_path / "out", "quick")
        (slow / "mark").write_text("slow")
    assert (tmp_path / "out" / "mark").read_text() == "slow"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
