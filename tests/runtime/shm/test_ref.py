import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corntriton.runtime.shm.errors import InvalidRefError
from corntriton.runtime.shm.layout import ArenaId
from corntriton.runtime.shm.ref import REF_BYTES, Ref
from corntriton.runtime.tensors import NUMPY_DTYPES

words = st.integers(0, 2**64 - 1)


@st.composite
def refs(draw):
    dtype = draw(st.sampled_from(sorted(NUMPY_DTYPES)))
    shape = tuple(draw(st.lists(st.integers(0, 1000), max_size=8)))
    nbytes = draw(words) if dtype == "BYTES" else math.prod(shape) * NUMPY_DTYPES[dtype].itemsize
    return Ref(
        arena=ArenaId(draw(words), draw(words), draw(words)),
        slot=draw(words),
        generation=draw(st.integers(1, 2**64 - 1)),
        offset=draw(st.integers(0, 2**50)) * 64,
        nbytes=min(nbytes, 2**64 - 1) if dtype == "BYTES" else nbytes,
        nonce=(draw(words), draw(words)),
        dtype=dtype,
        shape=shape,
        node=(draw(words), draw(words)),
        device=draw(words),
    )


@given(refs().filter(lambda ref: ref.nbytes < 2**64))
def test_a_ref_is_read_as_it_was_written(ref):
    packed = ref.pack()
    assert len(packed) == REF_BYTES
    assert Ref.unpack(packed) == ref


@given(st.binary(max_size=2 * REF_BYTES))
def test_random_bytes_are_no_ref(packed):
    with pytest.raises(InvalidRefError):
        Ref.unpack(packed)


def _ref(**changes) -> Ref:
    ref = Ref(ArenaId(1, 2, 3), 4, 5, 64, 24, (6, 7), "FP32", (2, 3), (8, 9))
    return ref._replace(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"generation": 0},
        {"offset": 63},
        {"nbytes": 23},
        {"shape": (2, 2**63)},
    ],
)
def test_a_ref_that_cannot_be_is_refused_before_memory_is_looked_at(changes):
    with pytest.raises(InvalidRefError):
        Ref.unpack(_ref(**changes).pack())


def test_padding_must_be_zero():
    packed = bytearray(_ref().pack())
    packed[-1] = 1
    with pytest.raises(InvalidRefError, match="unused"):
        Ref.unpack(bytes(packed))
