"""Several real processes put, read, end and are killed at random, all at once."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.sweep import sweep
from tests.runtime.traffic import N_REQUESTS, Chance, Lane, Process

_ROOT = Path(__file__).parents[3]
_ACTOR = Path(__file__).with_name("actor.py")
_MAX_BYTES = 256 * 1024
_N_LANES = 6
_SIZES = (0, 1, 1000, 60_000, 100_000)


def actor(directory: Path) -> Process:
    return Process([sys.executable, str(_ACTOR), str(directory), str(_MAX_BYTES)], {"PYTHONPATH": str(_ROOT)})


def put(chance: Chance) -> list[object]:
    return [chance.random() < 0.5]


def read(chance: Chance) -> list[object]:
    return [3, 0.0005]


def test_readers_see_what_was_put_and_nothing_leaks_whoever_is_killed(directory):
    owner = SharedMemory(_MAX_BYTES, n_requests=_N_LANES, directory=directory)
    processes = [actor(directory) for _ in range(4)]
    lanes = [Lane(owner, processes, seed, _SIZES, put, read) for seed in range(_N_LANES)]
    for lane in lanes:
        lane.thread.start()
    for lane in lanes:
        lane.thread.join()
    answers = sum((lane.answers for lane in lanes), Counter())
    print(dict(answers))
    assert {*answers} <= {"put", "full", "ended", "right", "gone", "killed"}
    assert answers["put"] > _N_LANES * N_REQUESTS / 2
    assert answers["right"] > answers["gone"] > 0
    assert answers["killed"] > 0
    assert [process.ask("used") for process in processes] == [0] * len(processes)
    for process in processes:
        process.stop()
    owner.close()
    assert [*directory.iterdir()] == []


def test_what_a_killed_owner_held_comes_free(directory):
    script = (
        "import sys, time; from pathlib import Path; from corntriton.runtime.shm.memory import SharedMemory\n"
        "owner = SharedMemory(1 << 20, 4, directory=Path(sys.argv[1])).owner\n"
        "print(owner.enter().text, flush=True); time.sleep(60)"
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", script, str(directory)], stdout=subprocess.PIPE, text=True
    )
    producer = actor(directory)
    ref = producer.ask("put", killed.stdout.readline().strip(), 100_000, 1, False)
    assert producer.ask("used") >= 100_000
    killed.kill()
    killed.communicate()
    assert producer.ask("used") == 0
    assert producer.ask("read", ref, 1, 1, 0) == "gone"
    producer.stop()
    sweep(directory)
    assert [*directory.iterdir()] == []
