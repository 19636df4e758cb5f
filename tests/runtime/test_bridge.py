"""Large tensors that come inline reach the worker as refs, and come back inline; nothing of them is left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from corntriton.record.signature import Port, Signature
from corntriton.runtime.answer import Ports
from corntriton.runtime.batch import BatchRunner
from corntriton.runtime.bridge import Bridge
from corntriton.runtime.messages import Call, Failure
from corntriton.runtime.settings import ComponentSettings
from tests.runtime.memory import memory

WORDS = Port("INT64", (-1,))
SIGNATURE = Signature({"x": WORDS, "times": Port("INT64")}, {"y": WORDS})
LARGE = 256 * 1024 // 8


def settings(batch: int, **changes: Any) -> ComponentSettings:
    options = {"arena_bytes": 1 << 24, "ref_inputs": ["x"], "ref_outputs": ["y"], **changes}
    return ComponentSettings("c", "python", "m:C", SIGNATURE, batch, **options)


@pytest.fixture(params=[0, 4], ids=["unbatched", "batched"])
def batch(request: Any) -> int:
    return request.param


@pytest.fixture
def bridge(batch: int) -> Iterator[Bridge]:
    made = Bridge(settings(batch))
    yield made
    assert made._memory is None or made._memory.owner.n_held == 0
    made.close()


def component(items: Any) -> Any:
    if any(item["x"][0] < 0 for item in items):
        raise ValueError("below 0")
    return [{"y": np.repeat(item["x"], item["times"][0])} for item in items]


def ask(bridge: Bridge, batch: int, rows: list[list[int]], times: int) -> tuple[Any, set[str], set[str]]:
    """The result, and what the worker was sent and asked for."""
    x, factors = np.array(rows), np.full((len(rows), 1), times)
    call = Call({"x": x if batch else x[0], "times": factors if batch else factors[0]}, frozenset({"y"}))
    crossing = bridge.cross(call)
    worker = BatchRunner(component, Ports(SIGNATURE, batch > 0, memory()), repeatable=True)
    [result] = worker.run([crossing.call], bytes(1))
    return bridge.land(call, crossing, result), {*crossing.call.inputs}, {*crossing.call.wanted}


def check(result: Any, batch: int, rows: list[list[int]], times: int) -> None:
    assert result.keys() == {"y"}
    expected = np.repeat(np.array(rows), times, axis=1)
    np.testing.assert_array_equal(result["y"], expected if batch else expected[0])


def test_small_tensors_stay_where_they_are(bridge: Bridge, batch: int) -> None:
    result, sent, wanted = ask(bridge, batch, [[1, 2, 3]], 2)
    check(result, batch, [[1, 2, 3]], 2)
    assert (sent, wanted) == ({"x", "times"}, {"y"})


def test_large_ones_cross_by_ref_and_so_do_the_next_outputs(bridge: Bridge, batch: int) -> None:
    rows = [[*range(LARGE)]] * max(1, batch)
    for expected in ({"y"}, {"y__ref"}, {"y__ref"}):
        result, sent, wanted = ask(bridge, batch, rows, 2)
        check(result, batch, rows, 2)
        assert (sent, wanted) == ({"x__ref", "times"}, expected)
    result, sent, wanted = ask(bridge, batch, [[1]], 2)
    check(result, batch, [[1]], 2)
    assert (sent, wanted) == ({"x", "times"}, {"y__ref"})
    assert ask(bridge, batch, [[1]], 2)[2] == {"y"}  # it is not expected to be large any more


def test_a_failure_is_passed_on(bridge: Bridge, batch: int) -> None:
    result, _, _ = ask(bridge, batch, [[-1] * LARGE], 1)
    assert isinstance(result, Failure)
    assert result.text == "ValueError: below 0"


def test_what_the_arena_cannot_hold_goes_by_the_socket() -> None:
    tiny = Bridge(settings(4, arena_bytes=1 << 18))
    rows = [[*range(2 * LARGE)]]
    result, sent, _ = ask(tiny, 4, rows, 1)
    check(result, 4, rows, 1)
    assert sent == {"x", "times"}
    tiny.close()


def test_calls_of_an_orchestrator_and_of_components_in_this_process_are_left_alone() -> None:
    large = {"x": np.zeros((1, LARGE), np.int64)}
    owned = Call(large, frozenset({"y"}), owner="somebody")
    assert Bridge(settings(4)).cross(owned).call is owned
    mine = Call(large, frozenset({"y"}))
    assert Bridge(settings(4, isolated=False)).cross(mine).call is mine
