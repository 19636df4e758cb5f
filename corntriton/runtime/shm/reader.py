"""Reads refs: the bytes of a ref go in, an array comes out that lies where the producer wrote it."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from corntriton.runtime.shm.claimed import Claim, Claimant
from corntriton.runtime.shm.elements import read_elements
from corntriton.runtime.shm.errors import InvalidRefError
from corntriton.runtime.shm.layout import Tag
from corntriton.runtime.shm.ref import HOST, Ref
from corntriton.runtime.shm.regions import Regions
from corntriton.runtime.tensors import NUMPY_DTYPES, Array


class Reader:
    """Reads tensors of all arenas of this machine, its own process's included. Any thread may."""

    def __init__(self, regions: Regions) -> None:
        self._claimant = Claimant(regions)

    def read(self, packed: bytes, tag: Tag | None = None) -> Array:
        """The tensor that a ref names.

        Nothing else is put into its memory as long as the array, or any view of it, lives. Nobody can write
        to it. Elements of BYTES are copied out.

        Args:
            packed: The ref, from wherever it came.
            tag: The live request that it has to belong to; any that lives, if None.

        Raises:
            InvalidRefError: These are not the bytes of a ref that an arena has given out, or the tensor
                belongs to another request, or to one that has ended, or it lies on a device.
            ArenaFullError: The arena has as many readers as it can have.
        """
        ref = Ref.unpack(packed)
        if ref.dtype == "BYTES":
            return read_elements(self.read_bytes(packed, tag).data, ref.shape)
        return self._read(ref, packed, tag, ref.shape, NUMPY_DTYPES[ref.dtype])

    def read_bytes(self, packed: bytes, tag: Tag | None = None) -> Array:
        """The same as the bytes [nbytes] that lie there, those of BYTES as elements.py lays them out.

        Raises:
            InvalidRefError: See read.
            ArenaFullError: See read.
        """
        ref = Ref.unpack(packed)
        return self._read(ref, packed, tag, (ref.nbytes,), np.dtype(np.uint8))

    def _read(
        self, ref: Ref, packed: bytes, tag: Tag | None, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> Array:
        if ref.device != HOST:
            raise InvalidRefError(f"a ref names the device {ref.device}, which is unknown here")
        claim = self._claimant.claim(ref, packed, tag)
        try:
            end = ref.offset + ref.nbytes
            if end > claim.region.capacity_bytes:
                raise InvalidRefError("a ref reaches beyond its arena")
            array: Array = np.ndarray(shape, dtype, buffer=claim.region.data(end), offset=ref.offset)
        except BaseException:
            claim.drop()
            raise
        _on_death(array, claim)
        return array


def _on_death(array: Array, claim: Claim) -> None:
    """Drops the claim when the array dies: every view of it, numpy's or torch's, keeps it alive.

    Not the region: it is forgotten when its file has gone, and the array keeps the memory mapped.
    """
    weakref.finalize(array, claim.claims.drop, claim.slot).atexit = False
