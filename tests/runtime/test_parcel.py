"""Parcels: what is packed is unpacked, and bytes that somebody made up are refused, never believed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from corntriton.runtime.parcel import BadParcelError, pack, unpack
from corntriton.runtime.tensors import NUMPY_DTYPES

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
NUMBERS = st.sampled_from([name for name in NUMPY_DTYPES if name != "BYTES"]).flatmap(
    lambda name: arrays.arrays(NUMPY_DTYPES[name], SHAPES)
)
TEXTS = arrays.arrays(object, SHAPES, elements=st.binary(max_size=20), fill=st.nothing())
VALUES = st.dictionaries(st.text(max_size=5), NUMBERS | TEXTS, max_size=4)


@settings(deadline=None)
@given(VALUES, st.dictionaries(st.text(max_size=5), st.integers() | st.lists(st.booleans()), max_size=2))
def test_what_is_packed_is_unpacked(values, note):
    got, noted = unpack(pack(values, note))
    assert noted == note
    assert [*got] == [*values]
    for name, array in values.items():
        assert got[name].dtype == array.dtype
        assert got[name].shape == array.shape
        assert got[name].tobytes() == array.tobytes() if array.dtype != object else (got[name] == array).all()


def test_arrays_lie_in_the_parcel_itself():
    parcel = pack({"x": np.zeros(1000, np.float32)})
    assert np.shares_memory(unpack(parcel)[0]["x"], parcel)


def test_what_is_not_contiguous_is_packed_as_it_looks():
    array = np.arange(12).reshape(3, 4).T
    assert (unpack(pack({"x": array}))[0]["x"] == array).all()


@settings(deadline=None, max_examples=300)
@given(VALUES, st.data())
def test_damaged_parcels_are_refused_or_are_parcels_still(values, data):
    parcel = pack(values, {"streams": True})
    for _ in range(data.draw(st.integers(1, 4))):
        parcel[data.draw(st.integers(0, len(parcel) - 1))] = data.draw(st.integers(0, 255))
    parcel = parcel[: data.draw(st.integers(0, len(parcel)))]
    try:
        got, note = unpack(parcel)
    except BadParcelError:
        return
    assert all(isinstance(array, np.ndarray) for array in got.values())
    assert isinstance(note, dict)


def test_bytes_of_any_sort_are_refused():
    for made_up in (b"", b"short", b"\xff" * 64, (8).to_bytes(8, "little") + b"[[], {}]"[:7]):
        with pytest.raises(BadParcelError):
            unpack(np.frombuffer(made_up, np.uint8))
