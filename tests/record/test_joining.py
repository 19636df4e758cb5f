from __future__ import annotations

import numpy as np
import pytest

from corntriton.record.joining import cut, join
from corntriton.record.signature import Port

TEXT, SAMPLES = Port("BYTES"), Port("FP32", (-1, 2))


@pytest.mark.parametrize(
    ("chunks", "whole"),
    [(["a", "b"], "ab"), ([b"a", b"b"], b"ab"), (["é", b"b"], "éb".encode()), (["only"], "only")],
)
def test_texts_are_put_together(chunks, whole):
    assert join(chunks, TEXT) == whole


def test_arrays_of_text_are_put_together_element_by_element():
    chunks = [np.array([b"a", b"x"], dtype=object), np.array(["b", "y"])]
    assert join(chunks, Port("BYTES", (2,))).tolist() == [b"ab", b"xy"]


def test_arrays_are_put_together_along_their_first_dimension():
    assert join([np.ones((1, 2)), np.zeros((2, 2))], SAMPLES).shape == (3, 2)
    assert join([1.0, 2.0], Port("FP32")).tolist() == [1.0, 2.0]


def test_lists_follow_one_another():
    assert join([["a"], ["b", "c"]], Port("BYTES", list=True)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("port", "shape", "dtype"),
    [(SAMPLES, (0, 2), "float32"), (Port("INT64", (4, -1)), (0, 0), "int64"), (TEXT, (1,), "object")],
)
def test_no_chunks_are_an_empty_value(port, shape, dtype):
    nothing = join([], port)
    assert (nothing.shape, nothing.dtype) == (shape, dtype)
    assert not any(nothing.flat)


def test_a_value_is_cut_into_chunks_of_its_own_type():
    assert cut("a b c", "tokens:2") == ["a b", " c"]
    assert cut(b"a b c", "tokens:2") == [b"a b", b" c"]
    chunks = cut(np.array([b"a b c"]), "tokens:2")
    assert [chunk.tolist() for chunk in chunks] == [[b"a b"], [b" c"]]
    assert [chunk.tolist() for chunk in cut(np.arange(3), "samples:2")] == [[0, 1], [2]]
