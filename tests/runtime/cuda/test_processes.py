"""Several processes with one GPU put, read, end and are killed at random, all at once."""

from __future__ import annotations

import random
import threading
from collections import Counter

from tests.runtime.cuda.world import MB, Process, World

_N_LANES = 5
_N_REQUESTS = 40
_SIZES = (0, 1, 1000, 300_000, 900_000)
_LATE = ["numpy", "copy", "in place"]


class Lane:
    """One request after the other: a producer puts, two consumers read, in the end at the same time.

    Some requests end while their tensors are still read, which no correct owner does: a reader's claim
    alone has to keep the memory.
    """

    def __init__(self, world: World, processes: list[Process], seed: int) -> None:
        self.world = world
        self.processes = processes
        self.chance = random.Random(seed)
        self.answers: Counter[str] = Counter()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        for _ in range(_N_REQUESTS):
            self._request()

    def _request(self) -> None:
        chance, request = self.chance, self.world.shared.owner.enter()
        fill, nbytes = chance.randint(1, 254), chance.choice(_SIZES)
        producer, *consumers = (chance.choice(self.processes) for _ in range(3))
        ref = producer.ask("put", request.text, nbytes, fill, chance.choice(_LATE), chance.random() < 0.3)
        early = chance.random() < 0.4
        self.answers[ref if ref in ("full", "ended") else "killed" if ref is None else "put"] += 1
        if ref in (None, "full", "ended"):
            request.end()
            return
        reads = [threading.Thread(target=self._read, args=(each, ref, fill, early)) for each in consumers]
        for read in reads:
            read.start()
        if early:
            request.end()
        if chance.random() < 0.05:
            chance.choice(self.processes).kill()
        for read in reads:
            read.join()
        request.end()

    def _read(self, consumer: Process, ref: str, fill: int, early: bool) -> None:
        answer = consumer.ask("read", ref, fill, self.chance.random() < 0.3)
        if answer == "gone" and not early:
            answer = "GONE while its request lived"
        self.answers[answer or "killed"] += 1


def test_readers_see_what_was_put_and_nothing_leaks_whoever_is_killed(world):
    processes = [world.process(2 * MB) for _ in range(4)]
    lanes = [Lane(world, processes, seed) for seed in range(_N_LANES)]
    for lane in lanes:
        lane.thread.start()
    for lane in lanes:
        lane.thread.join()
    answers = sum((lane.answers for lane in lanes), Counter())
    print(dict(answers))
    assert {*answers} <= {"put", "full", "ended", "right", "gone", "died", "killed"}
    assert answers["put"] > _N_LANES * _N_REQUESTS / 2
    assert answers["right"] > answers["gone"]
    assert answers["killed"] > 0
    assert [process.ask("used") for process in processes] == [0] * len(processes)
    for process in processes:
        process.stop()
    assert len([*world.directory.iterdir()]) == 2  # this process's own
