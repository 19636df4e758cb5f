"""What the orchestrator reports on Triton's metrics page; noted here, sent to the server once a second.

| metric | kind | labels beside model, orchestrator | meaning |
|---|---|---|---|
| corntriton_requests_total | counter | path, outcome | ended: ok, error, deadline, cancelled, refused |
| corntriton_request_duration_seconds | histogram | path | time of requests that ended ok |
| corntriton_invocations_total | counter | component, target, outcome | calls of components: ok, error |
| corntriton_invocation_seconds_total | counter | component, target | time of calls, waiting included |
| corntriton_invocation_retries_total | counter | component, target | calls repeated as the process had died |
| corntriton_recorded_paths_total | counter | | paths recorded while serving |
| corntriton_requests_in_flight | gauge | | requests held |
| corntriton_invocations_in_flight | gauge | component, target | calls under way |
| corntriton_invocations_waiting | gauge | component, target | calls that wait until the component has room |
| corntriton_replays_total | counter | path | requests begun anew as a server was lost; several servers |
| corntriton_server_up | gauge | server, address | whether one of that role may be called; several servers |
| corntriton_pulled_bytes_total | counter | from | tensors pulled from other servers; several servers |

`orchestrator` is the Triton model (`omni`, `omni_stream`), so that those of one model do not clash. The path
of a request that ended before its path was known is `none`; paths recorded while serving, of which there may
be many, are all called `recorded`. Gauges are sent as differences, so that several instances of an
orchestrator add up. `target` is the Triton model that is called; `component` what lives in it, as `asr+llm`
where that is several components, of which one call runs all that a request needs there.

The histogram is sent as what it consists of, counters `_bucket` with the label `le`, `_sum` and `_count`: by
its own kind, each observation would be a message to the server, while these cost the same at any rate.
"""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

from corntriton.runtime.settings import Target

_DURATION = "corntriton_request_duration_seconds"
_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, math.inf)
_LE = [("le", "+Inf" if edge_s == math.inf else str(edge_s)) for edge_s in _BUCKETS_S]
_FAMILIES = {
    "corntriton_requests_total": ("COUNTER", "Requests that ended, by path and outcome"),
    f"{_DURATION}_bucket": ("COUNTER", "Requests that ended ok, by the time they took at most"),
    f"{_DURATION}_sum": ("COUNTER", "Time of the requests that ended ok"),
    f"{_DURATION}_count": ("COUNTER", "Requests that ended ok"),
    "corntriton_invocations_total": ("COUNTER", "Calls of components, by outcome"),
    "corntriton_invocation_seconds_total": ("COUNTER", "Time that calls of components took"),
    "corntriton_invocation_retries_total": ("COUNTER", "Calls repeated because the process had died"),
    "corntriton_recorded_paths_total": ("COUNTER", "Paths recorded while serving"),
    "corntriton_requests_in_flight": ("GAUGE", "Requests held"),
    "corntriton_invocations_in_flight": ("GAUGE", "Calls of components under way"),
    "corntriton_invocations_waiting": ("GAUGE", "Calls that wait until the component has room"),
}
_FAMILIES_OF_SEVERAL_SERVERS = {
    "corntriton_replays_total": ("COUNTER", "Requests begun anew because a server was lost"),
    "corntriton_server_up": ("GAUGE", "Whether another server may be called"),
    "corntriton_pulled_bytes_total": ("COUNTER", "Bytes of tensors pulled from other servers"),
}
_FLUSH_S = 1.0

Labels = tuple[tuple[str, str], ...]
Series = tuple[str, Labels]


def target_labels(targets: Mapping[str, Target]) -> dict[str, Labels]:
    """The labels of each target; one on servers of another role has that behind its name."""
    return {
        name: (
            ("component", "+".join(target.members) or target.component or name),
            ("target", f"{target.model_name}@{target.server}" if target.server else target.model_name),
        )
        for name, target in targets.items()
    }


class Meter:
    """Notes what happens; cheap, and safe from any thread."""

    def __init__(self) -> None:
        self._counts: defaultdict[Series, float] = defaultdict(float)
        self._buckets: defaultdict[Labels, list[int]] = defaultdict(lambda: [0] * len(_BUCKETS_S))
        self._lock = threading.Lock()

    def request(self, path: str, outcome: str, seconds: float) -> None:
        """A request ended."""
        label = ("path", path)
        with self._lock:
            self._counts["corntriton_requests_total", (label, ("outcome", outcome))] += 1
            if outcome == "ok":
                self._counts[f"{_DURATION}_sum", (label,)] += seconds
                self._buckets[label,][bisect_left(_BUCKETS_S, seconds)] += 1

    @contextmanager
    def invocation(self, labels: Labels, count: int = 1) -> Iterator[None]:
        """A call of a target is under way, for one invocation or several at once."""
        begin_s, outcome = time.perf_counter(), "error"
        try:
            yield
            outcome = "ok"
        finally:
            seconds = time.perf_counter() - begin_s
            with self._lock:
                self._counts["corntriton_invocations_total", (*labels, ("outcome", outcome))] += count
                self._counts["corntriton_invocation_seconds_total", labels] += seconds * count

    def retry(self, labels: Labels, count: int = 1) -> None:
        """Invocations are repeated."""
        with self._lock:
            self._counts["corntriton_invocation_retries_total", labels] += count

    def replayed(self, path: str) -> None:
        """A request begins anew."""
        with self._lock:
            self._counts["corntriton_replays_total", (("path", path),)] += 1

    def pulled(self, address: str, nbytes: int) -> None:
        """A tensor has come from another server."""
        with self._lock:
            self._counts["corntriton_pulled_bytes_total", (("from", address),)] += nbytes

    def recorded(self) -> None:
        """A path was recorded."""
        with self._lock:
            self._counts["corntriton_recorded_paths_total", ()] += 1

    def take(self) -> Mapping[Series, float]:
        """What was counted since the last time."""
        with self._lock:
            counts, self._counts = self._counts, defaultdict(float)
            buckets = [*self._buckets.items()]
            self._buckets.clear()
        for labels, found in buckets:
            for le, at_most in zip(_LE, accumulate(found), strict=True):
                counts[f"{_DURATION}_bucket", (*labels, le)] = at_most
            counts[f"{_DURATION}_count", labels] = sum(found)
        return counts


class Reporter:
    """Sends a meter's notes, and gauges, to Triton from a thread of its own.

    Each value sent is a message to the server's process and back, 0.01 ms: hence at once, and not here
    and there.

    Args:
        pb_utils: Triton's module.
        meter: Whose notes to send.
        labels: On every metric.
        gauges: Called each time: the present value of each gauge.
        several_servers: It calls others.
    """

    def __init__(
        self,
        pb_utils: Any,
        meter: Meter,
        labels: Mapping[str, str],
        gauges: Callable[[], Mapping[Series, float]],
        several_servers: bool = False,
    ) -> None:
        self._meter = meter
        self._labels = labels
        self._gauges = gauges
        family = pb_utils.MetricFamily
        known = {**_FAMILIES, **(_FAMILIES_OF_SEVERAL_SERVERS if several_servers else {})}
        self._families = {
            name: family(name=name, description=about, kind=getattr(family, kind))
            for name, (kind, about) in known.items()
        }
        self._metrics: dict[Series, Any] = {}
        self._sent: dict[Series, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="corntriton-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Sends what is left and gives the metrics back."""
        self._stop.set()
        self._thread.join()
        self._flush()
        self._metrics.clear()
        self._families.clear()

    def _run(self) -> None:
        while not self._stop.wait(_FLUSH_S):
            self._flush()

    def _flush(self) -> None:
        for series, count in self._meter.take().items():
            if count or series not in self._metrics:
                self._metric(series).increment(count)
        for series, value in self._gauges().items():
            change = value - self._sent.get(series, 0)
            if change or series not in self._sent:  # a gauge shows from the start
                self._metric(series).increment(change)
                self._sent[series] = value

    def _metric(self, series: Series) -> Any:
        metric = self._metrics.get(series)
        if metric is None:
            name, labels = series
            metric = self._families[name].Metric(labels={**self._labels, **dict(labels)})
            self._metrics[series] = metric
        return metric
