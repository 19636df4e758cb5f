"""Refs that are proved: the bytes of a ref go in, a claim on its tensor comes out, or nothing is touched."""

from __future__ import annotations

import hmac
import os
import threading
import weakref
from typing import NamedTuple

from corntriton.runtime.shm.claims import Claims
from corntriton.runtime.shm.errors import InvalidRefError
from corntriton.runtime.shm.layout import TAG, WORD_BYTES, ArenaId, Tag
from corntriton.runtime.shm.ref import REF_BYTES, Ref
from corntriton.runtime.shm.region import Region
from corntriton.runtime.shm.regions import Regions

_REF_WORDS = REF_BYTES // WORD_BYTES


class Claim(NamedTuple):
    """Until it is dropped, nothing else is put into the tensor's memory."""

    region: Region
    claims: Claims
    slot: int

    def drop(self) -> None:
        """Once, at any point of any thread."""
        self.claims.drop(self.slot)


class Claimant:
    """Claims tensors of all arenas of this machine, its own process's included. Any thread may."""

    def __init__(self, regions: Regions) -> None:
        self._regions = regions
        self._claims: weakref.WeakKeyDictionary[Region, Claims] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def claim(self, ref: Ref, packed: bytes, tag: Tag | None = None) -> Claim:
        """Claims the tensor of a ref.

        Args:
            ref: The ref.
            packed: The bytes it was unpacked from.
            tag: The live request that it has to belong to; any that lives, if None.

        Raises:
            InvalidRefError: These are not the bytes of a ref that an arena has given out, or the tensor
                belongs to another request, or to one that has ended.
            ArenaFullError: The arena has as many readers as it can have.
        """
        if ref.node != self._regions.node:
            raise InvalidRefError("a ref names memory of another node")
        region = self._regions.find(ref.arena)
        if region is None or ref.slot >= region.layout.n_slots:
            raise InvalidRefError("a ref names an arena or a slot that does not exist")
        claim = Claim(region, self._claims_on(region), ref.slot)
        if not claim.claims.take(ref.slot, ref.generation):
            raise InvalidRefError("a ref names a tensor that is gone")
        begin = region.layout.slot(ref.slot)
        # All of it, in a time that does not tell how many bytes are right.
        if not hmac.compare_digest(region.words[begin : begin + _REF_WORDS].tobytes(), packed):
            claim.drop()
            raise InvalidRefError("a ref is not the one that its slot holds")
        pid, high, low, cell, number = region.words[begin + TAG : begin + TAG + 5].tolist()
        held = Tag(ArenaId(pid, high, low), cell, number)
        if held != tag and (tag is not None or not self._regions.carries(held)):
            claim.drop()
            raise InvalidRefError("a ref names a tensor of another request, or of one that has ended")
        return claim

    def _claims_on(self, region: Region) -> Claims:
        claims = self._claims.get(region)
        if claims is None:
            with self._lock:
                claims = self._claims.get(region)
                if claims is None:
                    claims = self._claims[region] = Claims(region, os.getpid())
        return claims
