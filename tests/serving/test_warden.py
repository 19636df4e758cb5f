"""The warden with small programs in the place of tritonserver: what it does knows nothing of Triton."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from corntriton.serving import warden
from corntriton.serving.traces import MARK, traces_of

# Leaves its session, ignores SIGTERM, and has a child: what a stub of the worst sort might do.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(f"/dev/shm/{sys.argv[1]}-region", "w").close()
if os.fork() == 0:
    os.setsid()
    os.fork()
    os.write(1, b"started\\n")
time.sleep(600)
"""
OBEDIENT = "import os, time; os.write(1, b'started\\nstarted\\n'); time.sleep(600)"


@pytest.fixture
def server_id() -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    assert traces_of(name) == []


def start(code: str, server_id: str, exit_timeout_s: float = 0.2) -> subprocess.Popen[str]:
    """Returns when the program and what it forks have said that they are there."""
    command = [sys.executable, "-c", code, server_id]
    order = json.dumps({"command": command, "exit_timeout_s": exit_timeout_s, "shm_prefix": f"{server_id}-"})
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, warden.__file__, order],
        stdin=pipe,
        stdout=pipe,
        env={**os.environ, MARK: server_id},
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["started\n"] * 2
    return process


def test_closing_the_lifeline_stops_the_server_in_order(server_id: str) -> None:
    process = start(OBEDIENT, server_id, exit_timeout_s=30)
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_warden_stops_the_server_in_order(server_id: str, number: int) -> None:
    process = start(OBEDIENT, server_id, exit_timeout_s=30)
    process.send_signal(number)
    assert process.wait() == 128 + signal.SIGTERM


def test_a_server_that_does_not_stop_is_killed_with_all_that_it_started(server_id: str) -> None:
    process = start(STUBBORN, server_id)
    process.communicate()
    assert process.returncode == 128 + signal.SIGKILL


def test_what_a_killed_server_leaves_is_killed_and_its_shared_memory_removed(server_id: str) -> None:
    process = start(STUBBORN, server_id)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    assert process.wait() == 128 + signal.SIGKILL


def test_a_killed_parent_is_as_good_as_a_closed_lifeline(server_id: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, __file__, STUBBORN, server_id], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    descriptor = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    wait_for_end(descriptor)


def test_the_server_gets_sigterm_when_the_warden_is_killed(server_id: str) -> None:
    process = start(OBEDIENT, server_id)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    descriptor = os.pidfd_open(int(children[0]))
    process.kill()
    process.wait()
    wait_for_end(descriptor)


def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    order = json.dumps({"command": [str(tmp_path / "none")], "exit_timeout_s": 1, "shm_prefix": "unused-"})
    answer = subprocess.run(
        [sys.executable, warden.__file__, order], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert answer.returncode == 127
    assert "none: [Errno 2]" in answer.stdout


PARENT = """
import importlib.util, sys, time
spec = importlib.util.spec_from_file_location("test_warden", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(module.start(sys.argv[2], sys.argv[3]).pid, flush=True)
time.sleep(600)
"""


def wait_for_end(descriptor: int) -> None:
    """Blocks until the process behind a pidfd has ended; the test's timeout bounds it."""
    select.select([descriptor], [], [])
    os.close(descriptor)
