from __future__ import annotations

import numpy as np
import pytest
import torch

from corntriton.record.signature import Port
from corntriton.runtime.tensors import BadValueError, as_array, as_value

TEXT = Port("BYTES", (1,))


@pytest.mark.parametrize(
    ("value", "port", "expected"),
    [
        (1.5, Port("FP32"), np.array([1.5], np.float32)),
        ([1, 2], Port("UINT8", (-1,)), np.array([1, 2], np.uint8)),
        ([1, 2], Port("FP16", (2,)), np.array([1, 2], np.float16)),
        (np.int64(7), Port("INT32"), np.array([7], np.int32)),
        (True, Port("BOOL"), np.array([True])),
        (3.0, Port("FP64", ()), np.array(3.0)),
        (torch.ones(2, requires_grad=True), Port("FP32", (2,)), np.ones(2, np.float32)),
        ([[1, 2], [3, 4]], Port("INT64", (2,), list=True), np.array([[1, 2], [3, 4]])),
        ([], Port("FP32", (-1, 3), list=True), np.empty((0, 0, 3), np.float32)),
        (np.zeros((5, 2), np.float32), Port("FP32", (2,), list=True), np.zeros((5, 2), np.float32)),
    ],
)
def test_numbers_become_arrays_of_their_port(value, port, expected):
    array = as_array(value, port)
    assert array.dtype == expected.dtype
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    ("value", "port", "expected"),
    [
        ("ä", TEXT, [b"\xc3\xa4"]),
        (b"a\0", TEXT, [b"a\0"]),
        (["a", b"b"], Port("BYTES", (-1,)), [b"a", b"b"]),
        (np.array(["a", "b"]), Port("BYTES", (2,)), [b"a", b"b"]),
        (["a", b"bc"], Port("BYTES", (1,), list=True), [[b"a"], [b"bc"]]),
    ],
)
def test_texts_become_arrays_of_bytes(value, port, expected):
    array = as_array(value, port)
    assert array.dtype == object
    assert array.tolist() == expected


@pytest.mark.parametrize(
    ("value", "port", "message"),
    [
        ([1.5], Port("INT32"), "holds float64, which is not INT32 and cannot become it without loss"),
        ([300], Port("UINT8"), "holds int64, which is not UINT8 and cannot become it without loss"),
        ("a", Port("FP32"), "holds <U1, which is not FP32 and cannot become it without loss"),
        (None, Port("FP32"), "holds object, which is not FP32 and cannot become it without loss"),
        ([[1], [1, 2]], Port("FP32"), "is not an array: "),
        ([1, 2], Port("FP32", (3,)), "has shape [2], but its dims are [3]"),
        (1, TEXT, "holds a int, but BYTES takes str and bytes"),
        (None, TEXT, "holds None, but BYTES takes str and bytes"),
        (5, Port("FP32", list=True), "is a int, not a list"),
        ("ab", Port("BYTES", list=True), "is a str, not a list"),
        ([[1], [1, 2]], Port("FP32", (-1,), list=True), "has elements of different shapes, [1], [2], which"),
    ],
)
def test_values_that_do_not_fit_say_how(value, port, message):
    with pytest.raises(BadValueError) as caught:
        as_array(value, port)
    assert str(caught.value).startswith(message)


def test_a_list_is_seen_as_a_list_of_arrays():
    value = as_value(np.array([[1, 2], [3, 4]]), Port("INT64", (2,), list=True))
    assert isinstance(value, list)
    assert [element.tolist() for element in value] == [[1, 2], [3, 4]]
