from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from corntriton.profiler import machine

NBYTES = 64 << 20
# Answers a line each time it has taken memory, or let go of it, on being told to go on.
BREATHING = f"""
import sys
print("ready", flush=True); sys.stdin.readline()
taken = b"x" * {NBYTES}
print("taken", flush=True); sys.stdin.readline()
del taken
print("gone", flush=True); sys.stdin.readline()
"""


@pytest.fixture
def breathing() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", BREATHING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def next_breath(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    process.stdout.readline()


def test_memory_is_seen_while_it_is_held_and_its_peak_afterwards(breathing: subprocess.Popen[str]) -> None:
    assert breathing.stdout
    breathing.stdout.readline()
    pids = [breathing.pid]
    machine.forget_peaks(pids)
    before, resident = machine.host_bytes(pids), machine.resident_bytes(pids)
    next_breath(breathing)
    assert machine.host_bytes(pids) - before > 0.9 * NBYTES  # the kernel counts pages in lots
    next_breath(breathing)
    assert machine.host_bytes(pids) - before < 0.1 * NBYTES
    assert machine.peak_bytes(pids) - resident > 0.9 * NBYTES
    machine.forget_peaks(pids)
    assert machine.peak_bytes(pids) - resident < 0.1 * NBYTES


def test_a_process_that_is_gone_holds_nothing(breathing: subprocess.Popen[str]) -> None:
    breathing.kill()
    breathing.wait()
    assert machine.host_bytes([breathing.pid]) == 0
    machine.forget_peaks([breathing.pid])


def test_what_others_took_is_a_share_and_our_own_work_is_no_part_of_it() -> None:
    before = machine.Busy.now([])
    while machine.Busy.now([]).own_s < before.own_s + 0.1:
        pass
    after = machine.Busy.now([])
    assert 0 <= after.others_since(before) <= 1
    # The two accounts are read one after the other, and each counts in hundredths.
    assert after.all_s - before.all_s > 0.05


def test_the_machine_is_described_by_its_cores() -> None:
    assert machine.describe(on_gpu=False).startswith(f"{len(os.sched_getaffinity(0))} cores of ")
    assert machine.device_name(on_gpu=False) == "cpu"
    assert machine.device_name(on_gpu=True)
