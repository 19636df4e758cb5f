"""Several processes with one GPU put, read, end and are killed at random, all at once."""

from __future__ import annotations

from collections import Counter

from tests.runtime.cuda.world import MB
from tests.runtime.traffic import N_REQUESTS, Chance, Lane

_N_LANES = 5
_SIZES = (0, 1, 1000, 300_000, 900_000)


def put(chance: Chance) -> list[object]:
    return [chance.choice(["numpy", "copy", "in place"]), chance.random() < 0.3]


def read(chance: Chance) -> list[object]:
    return [chance.random() < 0.3]


def test_readers_see_what_was_put_and_nothing_leaks_whoever_is_killed(world):
    processes = [world.process(2 * MB) for _ in range(4)]
    lanes = [Lane(world.shared, processes, seed, _SIZES, put, read) for seed in range(_N_LANES)]
    for lane in lanes:
        lane.thread.start()
    for lane in lanes:
        lane.thread.join()
    answers = sum((lane.answers for lane in lanes), Counter())
    print(dict(answers))
    assert {*answers} <= {"put", "full", "ended", "right", "gone", "died", "killed"}
    assert answers["put"] > _N_LANES * N_REQUESTS / 2
    assert answers["right"] > answers["gone"]
    assert answers["killed"] > 0
    assert [process.ask("used") for process in processes] == [0] * len(processes)
    for process in processes:
        process.stop()
    assert len([*world.directory.iterdir()]) == 2  # this process's own
