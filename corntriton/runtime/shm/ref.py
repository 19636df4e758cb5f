"""A ref: 192 bytes that say where a tensor lies; the same bytes stand in its slot."""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

import numpy as np

from corntriton.record.signature import DTYPES
from corntriton.runtime.shm.errors import InvalidRefError
from corntriton.runtime.shm.layout import VERSION, ArenaId
from corntriton.runtime.tensors import NUMPY_DTYPES

REF_BYTES = 192
MAX_DIMS = 8
ALIGNMENT_BYTES = 64
HOST = 0  # the device

# Head, arena, slot, generation, offset, nbytes, nonce, dims, device, node, padding.
_WORDS = struct.Struct("=24Q")
_HEAD = int.from_bytes(b"CRef", "little") << 32 | VERSION << 16
_DIMS = slice(10, 10 + MAX_DIMS)
_CODES = {name: code for code, name in enumerate(DTYPES, start=1)}
_ITEM_BYTES = {name: NUMPY_DTYPES[name].itemsize for name in NUMPY_DTYPES if name != "BYTES"}
DTYPE_NAMES: dict[np.dtype, str] = {dtype: name for name, dtype in NUMPY_DTYPES.items()}  # type: ignore[type-arg]


class Ref(NamedTuple):
    """Where a tensor lies.

    Attributes:
        arena: Whose memory.
        slot: Its slot.
        generation: How many tensors the arena had before it, plus one; never used again.
        offset: In the arena's data.
        nbytes: From there on.
        nonce: 128 random bits in two halves: who has never seen the ref cannot make it up.
        dtype: A name of the inference protocol.
        shape: At most eight dimensions.
        node: Where the arena's file lies, see node_of; others have to pull the tensor.
        device: HOST, or the number of a GPU.
    """

    arena: ArenaId
    slot: int
    generation: int
    offset: int
    nbytes: int
    nonce: tuple[int, int]
    dtype: str
    shape: tuple[int, ...]
    node: tuple[int, int]
    device: int = HOST

    def pack(self) -> bytes:
        """The bytes that travel."""
        head = _HEAD | _CODES[self.dtype] << 8 | len(self.shape)
        place = (self.slot, self.generation, self.offset, self.nbytes)
        dims = self.shape + (0,) * (MAX_DIMS - len(self.shape))
        return _WORDS.pack(head, *self.arena, *place, *self.nonce, *dims, self.device, *self.node, 0, 0, 0)

    @classmethod
    def unpack(cls, packed: bytes) -> Ref:
        """The inverse, for bytes of any origin.

        Raises:
            InvalidRefError: No ref packs to these bytes, or none that this version can read.
        """
        if len(packed) != REF_BYTES:
            raise InvalidRefError(f"a ref has {REF_BYTES} bytes, not {len(packed)}")
        words = _WORDS.unpack(packed)
        dtype, n_dims = _describe(words[0])
        dims = words[_DIMS]
        if any(dims[n_dims:]) or any(words[21:]):
            raise InvalidRefError("a ref's unused bytes are not 0")
        ref = cls(
            arena=ArenaId(*words[1:4]),
            slot=words[4],
            generation=words[5],
            offset=words[6],
            nbytes=words[7],
            nonce=words[8:10],
            dtype=dtype,
            shape=dims[:n_dims],
            node=words[19:21],
            device=words[18],
        )
        ref._check()
        return ref

    def _check(self) -> None:
        if self.generation == 0 or self.offset % ALIGNMENT_BYTES:
            raise InvalidRefError("a ref's generation or offset cannot be")
        if self.dtype != "BYTES" and self.nbytes != math.prod(self.shape) * _ITEM_BYTES[self.dtype]:
            raise InvalidRefError("a ref's number of bytes is not that of its shape")


def _describe(head: int) -> tuple[str, int]:
    """The dtype and number of dimensions that a ref's first word says."""
    code, n_dims = head >> 8 & 0xFF, head & 0xFF
    if head & ~0xFFFF != _HEAD or not 1 <= code <= len(DTYPES) or n_dims > MAX_DIMS:
        raise InvalidRefError("these bytes are no ref, or one of another version")
    dtype = DTYPES[code - 1]
    if dtype not in NUMPY_DTYPES:
        raise InvalidRefError(f"a ref names the dtype {dtype}, which has no arrays")
    return dtype, n_dims
