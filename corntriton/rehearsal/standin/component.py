"""The components of a rehearsed model: take the time that the profiles say, give bytes of the right size."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .device import Device
from .journal import Journal, Row
from .lanes import ContinuousLane, Job, Lane
from .timing import Timing

_ROLES = "standin.json"  # in the version folder of the Triton model, above code/


@cache
def _role() -> Any:
    """What this process stands in for: an executor; the stage writes the file once the models are built."""
    return json.loads((Path(__file__).resolve().parents[2] / _ROLES).read_text(encoding="utf-8"))


@cache
def _device() -> Device:
    """Of this process: all members of an executor live in it."""
    return Device(_role()["devices"], _role()["slower"], _role()["hand_over_s"])


@cache
def _journal() -> Journal:
    return Journal(Path(_role()["journal"]))


class _StandIn:
    def load(self, context: Any) -> None:
        role = _role()
        member = role["members"][context.settings["component"]]
        self._site: int = role["site"]
        self._sizes: dict[str, int] = context.settings["sizes"]
        self._timing = Timing(**member["timing"])
        self._draws = random.Random(f"{role['seed']} {context.instance} {context.settings['component']}")
        self._device = _device()
        self._lane = self._make_lane(member)
        self._device.add(self._lane)
        self._journal = _journal()
        self._context = context

    def _make_lane(self, member: Any) -> Lane:
        return Lane(member["tensor_parallel"])

    def _work(self, item: Any) -> float:
        return float(item["ticket"][1 + int(item["step"][0])])

    def _rows(self, items: Sequence[Any], came_s: float, job: Job, ended_s: float, batch: int) -> list[Row]:
        told_s, busy_s = time.monotonic(), self._device.busy_s
        times = (came_s, job.began_s, ended_s, told_s, batch, busy_s)
        return [Row(int(item["ticket"][0]), int(item["step"][0]), self._site, *times) for item in items]

    def _size(self, item: Any) -> int:
        return self._sizes[_key(item)]

    def _bytes(self, size: int) -> Any:
        return self._context.empty(size, np.uint8)


class Batched(_StandIn):
    """Works in batches that the server formed."""

    def __call__(self, items: Sequence[Any]) -> list[dict[str, Any]]:
        """Takes the time of such a batch."""
        came_s = time.monotonic()
        work = sum(map(self._work, items)) / len(items)
        job = Job(self._timing.batch_s(len(items), work) * self._timing.factor(self._draws))
        self._device.start(self._lane, job)
        ended_s, _ = job.passed.get()
        self._journal.note(self._rows(items, came_s, job, ended_s, len(items)))
        return [{"out": self._bytes(self._size(item)), "said": 1} for item in items]


class Continuous(_StandIn):
    """An llm, or whatever streams: each item goes its own way, at the speed that its company allows."""

    def __call__(self, items: Sequence[Any]) -> list[dict[str, Any]]:
        """Never made: the host takes it for a stream, whatever its declaration says; see roles.py."""
        raise RuntimeError("this stand-in takes items one by one")

    def _make_lane(self, member: Any) -> Lane:
        cache_bytes = member["cache_bytes"]
        return ContinuousLane(
            self._timing,
            member["tensor_parallel"],
            member["copies"],
            member["places"],
            float("inf") if cache_bytes is None else cache_bytes,
            member["work_bytes"],
        )

    def stream(self, item: Any) -> Iterator[dict[str, Any]]:
        """Emits its bytes evenly from first chunk to end; all at the end where nobody takes chunks."""
        came_s, work = time.monotonic(), self._work(item)
        factor = self._timing.factor(self._draws)
        alone_s = self._timing.batch_s(1, work) * factor
        first_s = min(self._timing.first_s(work) * factor, alone_s)
        shares = self._shares(item)
        job = Job(alone_s, work, [(first_s + (alone_s - first_s) * share, share) for share in shares])
        batch = self._lane.inside + 1
        self._device.start(self._lane, job)
        total, sent = self._size(item), 0
        for _ in shares:
            _, share = job.passed.get()
            due = int(total * share + 1e-9)
            yield {"out": self._bytes(due - sent), "said": [1]}
            sent = due
        ended_s, _ = job.passed.get()
        self._journal.note(self._rows([item], came_s, job, ended_s, batch))
        yield {"out": self._bytes(total - sent), "said": [1]}

    def _shares(self, item: Any) -> list[float]:
        tells: dict[str, list[float]] = self._context.settings["tells"]
        return tells.get(_key(item), [])


def _key(item: Any) -> str:
    """Which invocation of which request type: as models.py numbers them."""
    return f"{int(item['ticket'][-1])}.{int(item['step'][0])}"
