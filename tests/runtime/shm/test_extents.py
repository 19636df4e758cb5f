from hypothesis import given
from hypothesis import strategies as st

from corntriton.runtime.shm.extents import Extents


def test_nothing_is_free_at_first():
    assert Extents().take(1) is None


def test_the_front_goes_first():
    extents = Extents()
    extents.give(0, 100)
    assert [extents.take(30), extents.take(30)] == [0, 30]
    extents.give(0, 30)
    assert extents.take(20) == 0


def test_neighbours_are_joined_on_both_sides():
    extents = Extents()
    for begin in (0, 20, 10):
        extents.give(begin, 10)
    assert extents.take(30) == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=60))
def test_no_byte_is_given_twice_and_none_is_lost(orders):
    extents, taken, n_bytes = Extents(), [], 128
    extents.give(0, n_bytes)
    for wants, size in orders:
        if wants:
            free = set(range(n_bytes)) - {
                byte for begin, length in taken for byte in range(begin, begin + length)
            }
            fits = any(all(byte in free for byte in range(begin, begin + size)) for begin in free)
            begin = extents.take(size)
            assert (begin is not None) == fits
            if begin is not None:
                assert free.issuperset(range(begin, begin + size))
                taken.append((begin, size))
        elif taken:
            extents.give(*taken.pop(size % len(taken)))
        assert extents.free_bytes == n_bytes - sum(length for _, length in taken)
    for stretch in taken:
        extents.give(*stretch)
    assert extents.take(n_bytes) == 0
