"""One load of a Triton model on a server of its own: points in, readings out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from corntriton.profiler import machine
from corntriton.profiler.bed import Bed
from corntriton.profiler.measure import call_once, measure
from corntriton.profiler.reading import Point, Reading


class Session:
    """Measures on one bed.

    Args:
        bed: A server that has nothing loaded.
        on_gpu: The memory that counts is the GPU's.
    """

    def __init__(self, bed: Bed, on_gpu: bool) -> None:
        self._bed = bed
        self._on_gpu = on_gpu
        self._model = ""
        self._start_up_s = 0.0
        self._weights_bytes = 0

    def load(self, points: Sequence[Point], max_batch: int | None) -> None:
        """Loads what the points want, all the same Triton model.

        What a component makes on first use belongs to its weights, so each is called once.

        Raises:
            CorntritonError: It did not load, or a call failed.
        """
        before = self._held()
        joint = points[0].subject.joint
        self._model = self._bed.executor if joint else points[0].subject.model
        self._start_up_s = self._bed.load(self._model, max_batch)
        for point in {point.subject.name: point for point in points}.values():
            call_once(self._bed.address, replace(point.subject, model=self._model), point.items[0])
        self._weights_bytes = max(0, self._held() - before)

    def read(self, point: Point, seconds: float) -> Reading:
        """Measures a point.

        Raises:
            CorntritonError: A call failed.
        """
        subject = replace(point.subject, model=self._model)
        pids = self._bed.pids()
        machine.forget_peaks(pids)
        idle = self._resident(pids)
        busy = machine.Busy.now(pids)
        timing = measure(self._bed.address, subject, point.batch, point.items, seconds)
        others = machine.Busy.now(pids).others_since(busy)
        batch_bytes = max(0, self._peak(pids) - idle)
        saturated = timing.saturated
        outputs = dict.fromkeys(name for item in point.items for name in item.outputs)
        sizes = {n: float(np.mean([item.outputs.get(n, 0) for item in point.items])) for n in outputs}
        return Reading(
            component=subject.name,
            beside=subject.beside,
            batch=point.batch,
            work=point.work,
            times_s=timing.runs.steady_s,
            cut=timing.runs.cut,
            steady=timing.runs.is_steady,
            first_s=timing.first_s,
            chunks=timing.chunks,
            saturated_s=saturated.batch_s if saturated else None,
            queue_s=saturated.queue_s if saturated else None,
            rows=saturated.rows if saturated else None,
            start_up_s=self._start_up_s,
            weights_bytes=self._weights_bytes,
            batch_bytes=batch_bytes,
            outputs=sizes,
            others=others,
            synthetic=any(item.synthetic for item in point.items),
        )

    def _held(self) -> int:
        pids = self._bed.pids()
        return machine.gpu_bytes(pids) if self._on_gpu else machine.host_bytes(pids)

    def _resident(self, pids: Sequence[int]) -> int:
        return machine.gpu_bytes(pids) if self._on_gpu else machine.resident_bytes(pids)

    def _peak(self, pids: Sequence[int]) -> int:
        """On a GPU what is held afterwards: allocators keep what they took."""
        return machine.gpu_bytes(pids) if self._on_gpu else machine.peak_bytes(pids)
