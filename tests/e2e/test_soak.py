"""A short soak: killed processes, leaving clients, short deadlines; no answer is wrong, and nothing stays."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "soak_dataplane.py"


@pytest.mark.server
def test_nothing_is_wrong_or_left_after_requests_that_were_killed_cancelled_and_late(tmp_path: Path) -> None:
    options = ["--requests=1500", "--kills=8", f"--json={tmp_path / 'soak.json'}"]
    subprocess.run([sys.executable, TOOL, *options], capture_output=True, text=True, check=False)
    report = json.loads((tmp_path / "soak.json").read_text())
    assert {*report["outcomes"]} <= {"right", "cancelled", "late", "lost"}, report["unexpected"]
    assert report["outcomes"]["right"] > 1300
    assert report["kills"] == 8
    assert (report["held_bytes"], report["live_requests"], report["claims"], report["left"]) == (0, 0, 0, [])
