"""`corntriton build` as it is typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from corntriton.cli import app


@pytest.fixture
def run(write_studio: Callable[..., Path], tmp_path: Path) -> Callable[..., Result]:
    def call(*options: str, change: Callable[[dict[str, Any]], object] = lambda spec: None) -> Result:
        folder = write_studio(tmp_path / "studio", change)
        return CliRunner().invoke(app, ["build", str(folder), "-o", str(tmp_path / "out"), *options])

    return call


def test_it_says_what_was_built_and_what_is_next(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    assert "studio__double" in result.stdout
    assert "gpu asked for, mapped to KIND_CPU" in result.stdout
    assert "no plan was given" in result.stdout
    assert f"next: corntriton serve {tmp_path / 'out'}" in result.stdout


def test_machines_get_the_manifest(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("--json", "--backends", "ngc", "--link")
    assert json.loads(result.stdout) == json.loads((tmp_path / "out" / "manifest.json").read_text())


def test_problems_end_with_exit_code_2_and_nothing_is_written(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    result = run(change=lambda spec: spec["components"]["double"].update(config={"max_batch": 3}))
    assert result.exit_code == 2
    assert "$.components.double.config.max_batch" in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()
