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
    counts, observed = meter.take()
    assert {series: count for series, count in counts.items() if "seconds" not in series[0]} == {
        ("corntriton_requests_total", (("path", "plain"), ("outcome", "ok"))): 2,
        ("corntriton_requests_total", (("path", "plain"), ("outcome", "deadline"))): 1,
        ("corntriton_invocations_total", (*LLM, ("outcome", "ok"))): 1,
        ("corntriton_invocations_total", (*LLM, ("outcome", "error"))): 1,
        ("corntriton_invocation_retries_total", LLM): 1,
        ("corntriton_recorded_paths_total", ()): 1,
    }
    duration = ("corntriton_request_duration_seconds", (("path", "plain"),))
    assert observed == [(duration, 0.25), (duration, 0.5)]
    assert meter.take() == ({}, [])
