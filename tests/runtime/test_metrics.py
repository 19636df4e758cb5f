from __future__ import annotations

import pytest

from corntriton.runtime.metrics import Meter

LLM = (("component", "llm"), ("target", "omni__llm"))


def test_what_was_noted_is_taken_once() -> None:
    meter = Meter()
    meter.request("plain", "ok", 0.25)
    meter.request("plain", "ok", 0.5)
    meter.request("plain", "deadline", 9.0)
    with meter.invocation(LLM):
        pass
    with pytest.raises(ValueError, match="no"), meter.invocation(LLM):
        raise ValueError("no")
    meter.retry(LLM)
    meter.recorded()
    counts = meter.take()
    others = {series: count for series, count in counts.items() if "seconds" not in series[0]}
    assert others == {
        ("corntriton_requests_total", (("path", "plain"), ("outcome", "ok"))): 2,
        ("corntriton_requests_total", (("path", "plain"), ("outcome", "deadline"))): 1,
        ("corntriton_invocations_total", (*LLM, ("outcome", "ok"))): 1,
        ("corntriton_invocations_total", (*LLM, ("outcome", "error"))): 1,
        ("corntriton_invocation_retries_total", LLM): 1,
        ("corntriton_recorded_paths_total", ()): 1,
    }
    assert meter.take() == {}


def test_the_times_of_requests_are_the_parts_of_a_prometheus_histogram() -> None:
    meter = Meter()
    for seconds in (0.25, 0.3, 100.0):
        meter.request("plain", "ok", seconds)
    meter.request("plain", "deadline", 9.0)
    path = ("path", "plain")
    times = {series: count for series, count in meter.take().items() if "duration" in series[0]}
    buckets = {labels[1][1]: count for (name, labels), count in times.items() if name.endswith("_bucket")}
    assert [buckets[le] for le in ("0.1", "0.25", "0.5", "60.0", "+Inf")] == [0, 1, 2, 2, 3]
    assert times["corntriton_request_duration_seconds_count", (path,)] == 3
    assert times["corntriton_request_duration_seconds_sum", (path,)] == pytest.approx(100.55)
