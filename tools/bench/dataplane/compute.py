"""What all contestants compute: a function per stage, on arrays of 64-bit words."""

import numpy as np

KEY = np.uint64(0x9E3779B97F4A7C15)
LARGEST_BYTES = 64 * 2**20
_ramp = np.arange(0)


def make(size, seed, empty=np.empty):
    """A tensor of `size` bytes that the seed determines."""
    global _ramp
    if not len(_ramp):  # on first use: only the processes that make tensors hold it
        _ramp = np.arange(LARGEST_BYTES // 8, dtype=np.uint64)
    words = empty((int(size[0]) // 8,), np.uint64)
    return np.add(_ramp[: len(words)], seed[0], out=words)


def rewrite(words, empty=np.empty):
    """Every byte anew."""
    return np.bitwise_xor(words, KEY, out=empty(words.shape, words.dtype))


def last(rewritten, empty=np.empty):
    """A checksum."""
    return rewritten.sum(keepdims=True)


left = rewrite


def right(words, empty=np.empty):
    """Every byte anew, in another way."""
    return np.invert(words, out=empty(words.shape, words.dtype))


def join(left, right, empty=np.empty):
    """A checksum that tells one from the other."""
    return left.sum(keepdims=True) + np.uint64(3) * right.sum(keepdims=True)
