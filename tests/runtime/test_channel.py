from __future__ import annotations

import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

from corntriton.runtime.channel import Channel
from corntriton.runtime.messages import Batch, Call, Chunk, End, Failure, Loaded, Order, Results, Start

TEXTS = np.array([b"a\0", b"", "ä".encode()], object)


@pytest.fixture
def ends():
    ours, theirs = map(Channel, socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


def passed(ends, message):
    thread = threading.Thread(target=ends[0].send, args=(message,))
    thread.start()
    received = ends[1].receive(10)
    thread.join()
    return received


@pytest.mark.parametrize(
    "message",
    [
        Order(Path("/a"), "a_0", "cpu"),
        Loaded(),
        Failure("INTERNAL", "text", "trace"),
        End(3, None),
        End(3, Failure("INTERNAL", "text")),
        End(3, None, {"y": np.array([3], np.int32)}),
    ],
)
def test_messages_arrive_as_they_were(ends, message):
    received = passed(ends, message)
    assert (type(received), received) == (type(message), message)


@pytest.mark.parametrize("size", [0, 1, 5_000, 70_000, 1_000_000])
def test_arrays_of_any_size_arrive_whole_and_writable(ends, size):
    x = np.random.default_rng(size).random((2, size)).astype(np.float32)
    call = Call({"x": x, "t": TEXTS.reshape(3, 1)}, frozenset("y"), 5, "owner", (7, True, False))
    (received,) = passed(ends, Batch([call])).calls
    np.testing.assert_array_equal(received.inputs["x"], x)
    received.inputs["x"][:] = 0
    assert received.inputs["t"].tolist() == [[b"a\0"], [b""], ["ä".encode()]]
    assert received[1:] == call[1:]
    assert passed(ends, Start(2, call)).slot == 2
    np.testing.assert_array_equal(passed(ends, Chunk(2, {"x": x})).outputs["x"], x)


def test_several_messages_at_once_stay_apart(ends):
    for slot in range(100):
        ends[0].send(End(slot, None))
    assert [ends[1].receive(10).slot for _ in range(100)] == [*range(100)]
    assert ends[1].receive(0) is None


@given(
    numpy_st.arrays(
        st.sampled_from([np.bool_, np.uint8, np.int64, np.float16, np.float32, np.float64]),
        numpy_st.array_shapes(min_dims=0, max_side=30),
    )
)
def test_any_array_survives(array):
    ours, theirs = map(Channel, socket.socketpair())
    ours.send(Results([{"x": array}, Failure("INTERNAL", "no")]))
    outputs, failure = theirs.receive(10).results
    assert outputs["x"].dtype == array.dtype
    np.testing.assert_array_equal(outputs["x"], array)
    assert failure == Failure("INTERNAL", "no")
    ours.close()
    theirs.close()


def test_receive_ends_when_the_other_side_is_gone(ends):
    ends[0].close()
    with pytest.raises(EOFError):
        ends[1].receive(10)
