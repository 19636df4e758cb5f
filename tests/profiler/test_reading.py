from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from corntriton.profiler.reading import Journal
from tests.profiler.readings import READING


def test_a_journal_gives_back_what_it_was_given(tmp_path: Path) -> None:
    file = tmp_path / "profiles.json.partial"
    Journal(file).add("a", READING)
    journal = Journal(file)
    journal.add("b", replace(READING, batch=2))
    assert Journal(file).get("a") == READING
    assert Journal(file).get("b") == replace(READING, batch=2)
    journal.remove()
    assert not file.exists()


def test_a_line_that_was_cut_off_or_is_of_another_version_is_no_reading(tmp_path: Path) -> None:
    file = tmp_path / "profiles.json.partial"
    Journal(file).add("a", READING)
    whole = file.read_text()
    file.write_text(f'{whole}{{"key": "b", "batch": 1}}\n[1]\n{whole[:40]}')
    journal = Journal(file)
    assert journal.get("a") == READING
    assert journal.get("b") is None
