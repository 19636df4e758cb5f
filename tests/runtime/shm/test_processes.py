"""Several real processes put, read, end and are killed at random, all at once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.sweep import sweep

_ROOT = Path(__file__).parents[3]
_ACTOR = Path(__file__).with_name("actor.py")
_MAX_BYTES = 256 * 1024
_N_LANES = 6
_N_REQUESTS = 100


class Process:
    """An actor that may be killed while it works; the next order starts another."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._start()

    def ask(self, name: str, *arguments):
        """What it answers, or None where it was killed over the order."""
        with self._lock:
            if self._process.poll() is not None:
                self._start()
            try:
                self._process.stdin.write(json.dumps([name, arguments]) + "\n")
                self._process.stdin.flush()
                answer = self._process.stdout.readline()
            except BrokenPipeError:
                answer = ""
            if not answer:
                self._process.wait()
        return json.loads(answer) if answer else None

    def kill(self) -> None:
        self._process.kill()

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _start(self) -> None:
        command = [sys.executable, str(_ACTOR), str(self._directory), str(_MAX_BYTES)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(
            command, **pipes, text=True, cwd=_ROOT, env={"PYTHONPATH": str(_ROOT)}
        )


class Lane:
    """One request after the other: a producer puts, two consumers read, in the end at the same time.

    Some requests end while their tensors are still read, which no correct owner does: a reader's claim
    alone has to keep the memory.
    """

    def __init__(self, owner: SharedMemory, processes: list[Process], seed: int) -> None:
        self.owner = owner
        self.processes = processes
        self.chance = random.Random(seed)
        self.answers: Counter[str] = Counter()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        for _ in range(_N_REQUESTS):
            self._request()

    def _request(self) -> None:
        chance, request = self.chance, self.owner.owner.enter()
        fill, n_bytes = chance.randint(1, 255), chance.choice((0, 1, 1000, 60_000, 100_000))
        producer, *consumers = (chance.choice(self.processes) for _ in range(3))
        ref = producer.ask("put", request.text, n_bytes, fill, chance.random() < 0.5)
        early = chance.random() < 0.4
        self.answers[ref if ref in ("full", "ended") else "killed" if ref is None else "put"] += 1
        if ref in (None, "full", "ended"):
            request.end()
            return
        reads = [
            threading.Thread(target=self._read, args=(consumer, ref, fill, early)) for consumer in consumers
        ]
        for read in reads:
            read.start()
        if early:
            request.end()
        if chance.random() < 0.03:
            chance.choice(self.processes).kill()
        for read in reads:
            read.join()
        request.end()

    def _read(self, consumer: Process, ref: str, fill: int, early: bool) -> None:
        answer = consumer.ask("read", ref, fill, 3, 0.0005)
        if answer == "gone" and not early:
            answer = "GONE while its request lived"
        self.answers[answer or "killed"] += 1


def test_readers_see_what_was_put_and_nothing_leaks_whoever_is_killed(directory):
    owner = SharedMemory(_MAX_BYTES, n_requests=_N_LANES, directory=directory)
    processes = [Process(directory) for _ in range(4)]
    lanes = [Lane(owner, processes, seed) for seed in range(_N_LANES)]
    for lane in lanes:
        lane.thread.start()
    for lane in lanes:
        lane.thread.join()
    answers = sum((lane.answers for lane in lanes), Counter())
    print(dict(answers))
    assert {*answers} <= {"put", "full", "ended", "right", "gone", "killed"}
    assert answers["put"] > _N_LANES * _N_REQUESTS / 2
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
    producer = Process(directory)
    ref = producer.ask("put", killed.stdout.readline().strip(), 100_000, 1, False)
    assert producer.ask("used") >= 100_000
    killed.kill()
    killed.communicate()
    assert producer.ask("used") == 0
    assert producer.ask("read", ref, 1, 1, 0) == "gone"
    producer.stop()
    sweep(directory)
    assert [*directory.iterdir()] == []
