"""What a server of bench_omni.py did during a load: shares of the cores, and Triton's counters by model."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import tritonclient.http

from corntriton.profiler.machine import Busy
from corntriton.serving.server import Server
from corntriton.serving.traces import processes_of

_NS = 1e-9


@dataclass(frozen=True)
class Work:
    """What Triton counts for one model.

    Attributes:
        requests: That were answered.
        executions: Batches that they made.
        queue_s: What the requests waited, all together.
        compute_s: What they were computed, all together; a batch counts for each of its requests.
    """

    requests: float
    executions: float
    queue_s: float
    compute_s: float

    def since(self, before: Work) -> Work:
        """The work between two readings."""
        return Work(*(now - then for now, then in zip(_figures(self), _figures(before), strict=True)))

    @property
    def batch(self) -> float:
        """Requests per execution."""
        return self.requests / self.executions if self.executions else 0.0


@dataclass(frozen=True)
class Seen:
    """What a load took.

    Attributes:
        server_share: Of all cores, taken by the server and its processes.
        generator_share: Of all cores, taken by this process.
        others_share: Of all cores, taken by other programs.
        models: By name, those that did anything.
    """

    server_share: float
    generator_share: float
    others_share: float
    models: Mapping[str, Work]


class Watch:
    """Looks at a server from its construction on."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._pids = processes_of(server.id)
        self._works = _works(server)
        self._cpu_s = time.process_time()
        self._busy = Busy.now(self._pids)

    def seen(self) -> Seen:
        """What happened until now."""
        busy, generator_s = Busy.now(self._pids), time.process_time() - self._cpu_s
        cores_s = (os.cpu_count() or 1) * (busy.at_s - self._busy.at_s)
        server_s = busy.own_s - self._busy.own_s - generator_s
        models = {
            name: work.since(self._works.get(name, Work(0, 0, 0, 0)))
            for name, work in _works(self._server).items()
        }
        return Seen(
            server_s / cores_s,
            generator_s / cores_s,
            busy.others_since(self._busy),
            {name: work for name, work in models.items() if work.requests},
        )


def added(works: list[Mapping[str, Work]]) -> dict[str, Work]:
    """The work of several loads, by model."""
    total: dict[str, Work] = {}
    for models in works:
        for name, work in models.items():
            before = _figures(total[name]) if name in total else [0.0] * 4
            total[name] = Work(*(a + b for a, b in zip(before, _figures(work), strict=True)))
    return total


def _works(server: Server) -> dict[str, Work]:
    with tritonclient.http.InferenceServerClient(server.http_url) as client:
        models = client.get_inference_statistics()["model_stats"]
    return {model["name"]: _work(model) for model in models}


def _work(model: Mapping[str, object]) -> Work:
    counted = model["inference_stats"]
    return Work(
        model["inference_count"],
        model["execution_count"],
        counted["queue"]["ns"] * _NS,
        counted["compute_infer"]["ns"] * _NS,
    )


def _figures(work: Work) -> list[float]:
    return [*asdict(work).values()]
