from __future__ import annotations

import time

import numpy as np
import pytest

from corntriton.record.signature import Port, Signature
from corntriton.runtime.answer import Ports
from corntriton.runtime.batch import BatchRunner
from corntriton.runtime.messages import Call, Failure
from corntriton.runtime.watchdog import late_s, why_hung

SIGNATURE = Signature(
    {"x": Port("FP32", (-1,)), "t": Port("BYTES", optional=True)},
    {"y": Port("FP32", (-1,)), "z": Port("FP32", optional=True)},
)
BOTH = frozenset({"y", "z"})


def call(*rows, **more):
    more.setdefault("wanted", BOTH)
    return Call({"x": np.array(rows, np.float32)}, **more)


def run(component, *calls, repeatable=True, batched=True, flags=bytes(8)):
    return BatchRunner(component, Ports(SIGNATURE, batched), repeatable).run(calls, flags)


def doubled(items):
    return [{"y": item["x"] * 2} for item in items]


def always(result):
    return lambda items: [result for _ in items]


def test_each_call_gets_the_results_of_its_own_items():
    first, second = run(doubled, call([1], [2]), call([3]))
    assert (first["y"].tolist(), second["y"].tolist()) == ([[2], [4]], [[6]])


@pytest.mark.parametrize(
    ("component", "text"),
    [
        (always(7), "it returned int for an item, not a dict of its outputs"),
        (always({"y": [1.0], "w": 1}), "it returned w, which is no output of it"),
        (always({"z": 1.0}), "it returned no y"),
        (always({"y": None}), "its output y holds object, which is not FP32"),
        (lambda items: None, "TypeError: it must return a list with one entry per item, not NoneType"),
        (lambda items: [], "TypeError: it must return one entry per item: 0 for 2 items"),
        (
            lambda items: [{"y": [1.0] * n} for n in (1, 2)],
            "its output y has another shape for another item of the same request",
        ),
        (
            lambda items: [{"y": [1.0], "z": 1.0}, {"y": [1.0]}],
            "it returned z for some items of a request and not for others",
        ),
    ],
)
def test_results_that_cannot_be_used_say_why(component, text):
    (failure,) = run(component, call([1], [2]))
    assert failure.code == "INTERNAL"
    assert failure.text.startswith(text)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({}, "the input x is missing"),
        ({"x": np.ones((1, 1))}, "the input x is float64, not FP32"),
        ({"x": np.ones((1, 1, 1), np.float32)}, "the input x has shape [1, 1], but its dims are [-1]"),
        ({"x": np.ones((1, 1), np.float32), "w": np.ones((1, 1))}, "there is no input w"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_before_the_component_sees_them(inputs, text):
    seen = []
    bad, good = run(lambda items: seen.extend(items) or doubled(items), Call(inputs, BOTH), call([1]))
    assert bad == Failure("INVALID_ARG", text)
    assert good["y"].tolist() == [[2]]
    assert len(seen) == 1


def test_nobody_computes_what_nobody_waits_for():
    late = call([1], deadline_ns=time.monotonic_ns() - 1)
    results = run(doubled, call([1]), late, call([3]), flags=b"\1\0\0")
    assert [result.code for result in results[:2]] == ["CANCELLED", "UNAVAILABLE"]
    assert results[2]["y"].tolist() == [[6]]


def test_a_call_for_one_request_is_not_repeated():
    seen = []

    def fails(items):
        seen.append(len(items))
        raise ValueError("no")

    (failure,) = run(fails, call([1], [2]))
    assert (failure.text, seen) == ("ValueError: no", [2])
    assert "raise ValueError" in failure.trace


def test_an_item_knows_its_time_and_whether_it_is_wanted():
    seen = []
    flags = bytearray(2)
    deadline_ns = time.monotonic_ns() + 10**10
    run(
        lambda items: seen.extend(items) or doubled(items),
        call([1]),
        call([2], deadline_ns=deadline_ns),
        flags=flags,
    )
    endless, timed = seen
    assert endless.time_left_s == float("inf")
    assert 0 < timed.time_left_s <= 10
    flags[1] = 1
    assert (endless.cancelled(), timed.cancelled()) == (False, True)
    assert dict(endless) == {"x": [1]}
    assert "t" not in endless


def test_work_hangs_only_when_all_of_it_is_late():
    past, future = time.monotonic_ns() - 10**9, time.monotonic_ns() + 10**9
    late, early, endless = call([1], deadline_ns=past), call([1], deadline_ns=future), call([1])
    assert why_hung([late], 0.5).startswith("ended by the watchdog 1.0 s past")
    assert why_hung([late], 5.0) is None
    assert why_hung([late, early], 0.0) is None
    assert why_hung([late, endless], 0.0) is None
    assert late_s([]) < 0
