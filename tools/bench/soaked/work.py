"""What the components compute; the soak computes the same and compares."""

import zlib

import numpy as np


def make(size, seed, empty=np.empty):
    data = empty((int(size[0]),), np.uint8)
    data[:] = np.random.default_rng(int(seed[0])).integers(0, 256, len(data), np.uint8)
    return data


def scramble(data, empty=np.empty):
    return np.bitwise_xor(data, np.uint8(0x5A), out=empty(data.shape, data.dtype))


def mirror(data):
    return data[::-1]


def digest(left, right):
    """A checksum in which each byte's place counts."""
    return np.array([zlib.crc32(np.ascontiguousarray(right), zlib.crc32(left))], np.uint64)


def turn(page):
    return np.array([line[::-1] for line in page], object)


def bind(pages):
    return np.array([b"\n".join(line for page in pages for line in page)], object)
