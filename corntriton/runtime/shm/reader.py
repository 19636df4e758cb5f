"""Reads refs: the bytes of a ref go in, an array comes out that lies where the producer wrote it."""

from __future__ import annotations

import hmac
import os
import threading
import weakref

import numpy as np

from corntriton.runtime.shm.claims import Claims
from corntriton.runtime.shm.elements import read_elements
from corntriton.runtime.shm.errors import InvalidRefError
from corntriton.runtime.shm.layout import WORD_BYTES
from corntriton.runtime.shm.ref import REF_BYTES, Ref
from corntriton.runtime.shm.region import Region
from corntriton.runtime.shm.regions import Regions
from corntriton.runtime.tensors import NUMPY_DTYPES, Array

_REF_WORDS = REF_BYTES // WORD_BYTES


class Reader:
    """Reads tensors of all arenas of this machine, its own process's included. Any thread may."""

    def __init__(self, regions: Regions) -> None:
        self._regions = regions
        self._claims: weakref.WeakKeyDictionary[Region, Claims] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def read(self, packed: bytes) -> Array:
        """The tensor that a ref names.

        Nothing else is put into its memory as long as the array, or any view of it, lives. Nobody can write
        to it. Elements of BYTES are copied out.

        Args:
            packed: The ref, from wherever it came.

        Raises:
            InvalidRefError: These are not the bytes of a ref that an arena has given out, or the request that
                the tensor belongs to has ended.
            ArenaFullError: The arena has as many readers as it can have.
        """
        ref = Ref.unpack(packed)
        region = self._regions.find(ref.arena)
        if region is None or ref.slot >= region.layout.n_slots:
            raise InvalidRefError("a ref names an arena or a slot that does not exist")
        claims = self._claims_on(region)
        if not claims.take(ref.slot, ref.generation):
            raise InvalidRefError("a ref names a tensor that is gone")
        try:
            _check_slot(region, ref, packed)
            array = _array(region, ref)
        except BaseException:
            claims.drop(ref.slot)
            raise
        if ref.dtype == "BYTES":
            claims.drop(ref.slot)
        else:
            _on_death(array, claims, ref.slot)
        return array

    def _claims_on(self, region: Region) -> Claims:
        claims = self._claims.get(region)
        if claims is None:
            with self._lock:
                claims = self._claims.get(region)
                if claims is None:
                    claims = self._claims[region] = Claims(region, os.getpid())
        return claims


def _check_slot(region: Region, ref: Ref, packed: bytes) -> None:
    """Compares all of the ref with what the producer wrote into the slot when it made it."""
    begin = region.layout.slot(ref.slot)
    # In a time that does not tell how many bytes are right.
    if not hmac.compare_digest(region.words[begin : begin + _REF_WORDS].tobytes(), packed):
        raise InvalidRefError("a ref is not the one that its slot holds")
    if ref.offset + ref.nbytes > region.capacity_bytes:
        raise InvalidRefError("a ref reaches beyond its arena")


def _array(region: Region, ref: Ref) -> Array:
    data = region.data(ref.offset + ref.nbytes)
    if ref.dtype == "BYTES":
        return read_elements(memoryview(data)[ref.offset : ref.offset + ref.nbytes], ref.shape)
    return np.ndarray(ref.shape, NUMPY_DTYPES[ref.dtype], buffer=data, offset=ref.offset)


def _on_death(array: Array, claims: Claims, slot: int) -> None:
    """Drops the claim when the array dies: every view of it, numpy's or torch's, keeps it alive."""
    weakref.finalize(array, claims.drop, slot).atexit = False
