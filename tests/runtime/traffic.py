"""Processes that hold shared memory, killed at random, and lanes of requests that keep them busy."""

from __future__ import annotations

import json
import random
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from corntriton.runtime.shm.memory import SharedMemory

N_REQUESTS = 60
Chance = random.Random


class Process:
    """An actor that may be killed while it works; the next order starts another."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = environment
        self._lock = threading.Lock()
        self._start()

    def ask(self, name: str, *arguments: Any) -> Any:
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
        """Ends it at once; returns when it has ended."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Lets it end."""
        if not self._process.stdin.closed:
            self._process.stdin.close()
            self._process.wait()
            self._process.stdout.close()

    def _start(self) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(self._command, **pipes, text=True, env=dict(self._environment))


class Lane:
    """One request after the other: a producer puts, two consumers read, in the end at the same time.

    Some requests end while their tensors are still read, which no correct owner does: a reader's claim
    alone has to keep the memory.

    Attributes:
        put: What more a producer is told than the owner, the size and the content.
        read: What more a consumer is told than the ref and the content.
    """

    def __init__(
        self,
        shared: SharedMemory,
        processes: list[Process],
        seed: int,
        sizes: tuple[int, ...],
        put: Callable[[Chance], list[Any]],
        read: Callable[[Chance], list[Any]],
    ) -> None:
        self.answers: Counter[str] = Counter()
        self.thread = threading.Thread(target=self._run)
        self._shared = shared
        self._processes = processes
        self._chance = Chance(seed)
        self._sizes = sizes
        self._put = put
        self._more = read

    def _run(self) -> None:
        for _ in range(N_REQUESTS):
            self._request()

    def _request(self) -> None:
        chance, request = self._chance, self._shared.owner.enter()
        fill, nbytes = chance.randint(1, 254), chance.choice(self._sizes)
        producer, *consumers = (chance.choice(self._processes) for _ in range(3))
        ref = producer.ask("put", request.text, nbytes, fill, *self._put(chance))
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
            chance.choice(self._processes).kill()
        for read in reads:
            read.join()
        request.end()

    def _read(self, consumer: Process, ref: str, fill: int, early: bool) -> None:
        answer = consumer.ask("read", ref, fill, *self._more(self._chance))
        if answer == "gone" and not early:
            answer = "GONE while its request lived"
        self.answers[answer or "killed"] += 1
