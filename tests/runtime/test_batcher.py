"""Calls of many threads become batches: at once where nobody works, together where somebody does."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from corntriton.record.signature import Port, Signature
from corntriton.runtime.answer import Ports
from corntriton.runtime.batch import BatchRunner
from corntriton.runtime.batcher import Batcher
from corntriton.runtime.messages import Call, Failure
from tests.runtime.memory import memory

PORTS = Ports(Signature({"x": Port("INT64")}, {"y": Port("INT64")}), batched=False)


def batcher(component, max_batch=4, flags=bytes(16)):
    return Batcher(BatchRunner(component, PORTS, repeatable=True), max_batch, flags, memory().arena)


def call(number):
    return Call({"x": np.array([number])}, frozenset({"y"}))


def test_calls_that_come_while_a_batch_runs_are_the_next_one():
    sizes, begun, go = [], threading.Event(), threading.Event()

    def component(items):
        sizes.append(len(items))
        begun.set()
        assert go.wait(20)
        return [{"y": item["x"] * 2} for item in items]

    joined = batcher(component)
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(joined.run, call(0), 0)
        assert begun.wait(20)
        others = [pool.submit(joined.run, call(number), number) for number in range(1, 10)]
        while len(joined._queue) < 9:
            pass
        go.set()
        assert [int(each.result()["y"][0]) for each in [first, *others]] == [2 * n for n in range(10)]
    assert sizes == [1, 4, 4, 1]


def test_a_lone_call_is_made_on_its_own_thread():
    threads = []

    def component(items):
        threads.append(threading.get_ident())
        return [{"y": 1}]

    batcher(component).run(call(1), 0)
    assert threads == [threading.get_ident()]


def test_one_that_fails_fails_alone_and_those_behind_it_go_on():
    def component(items):
        return [ValueError("odd") if item["x"] % 2 else {"y": item["x"]} for item in items]

    joined = batcher(component)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda number: joined.run(call(number), number), range(16)))
    assert [isinstance(result, Failure) for result in results] == [bool(number % 2) for number in range(16)]


def test_the_flag_of_each_call_is_its_requests():
    flags = bytearray(16)
    flags[7] = 1
    joined = batcher(lambda items: [{"y": 1} for _ in items], flags=flags)
    assert joined.run(call(1), 6) == {"y": np.array([1])}
    assert joined.run(call(1), 7) == Failure("CANCELLED", "cancelled")
