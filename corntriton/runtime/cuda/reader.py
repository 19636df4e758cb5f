"""Reads refs of tensors on GPUs: the bytes of a ref go in, a tensor comes out that lies where it was put."""

from __future__ import annotations

import threading
import weakref
from functools import partial

from corntriton.runtime.cuda.block import Block, own_block
from corntriton.runtime.cuda.errors import ProducerDiedError, UnreachableError
from corntriton.runtime.cuda.lanes import Lanes
from corntriton.runtime.cuda.opened import Opened
from corntriton.runtime.cuda.record import Record, record_bytes
from corntriton.runtime.cuda.tensor import DeviceTensor
from corntriton.runtime.cuda.use import Use
from corntriton.runtime.shm.claimed import Claim, Claimant
from corntriton.runtime.shm.errors import InvalidRefError
from corntriton.runtime.shm.layout import Tag
from corntriton.runtime.shm.ref import Ref
from corntriton.runtime.shm.region import Region
from corntriton.runtime.shm.regions import Regions
from corntriton.runtime.tensors import NUMPY_DTYPES


class DeviceReader:
    """Reads tensors of all device arenas of this machine on one GPU. Any thread may.

    Args:
        lanes: Of the GPU.
        regions: Where arenas are found.
    """

    def __init__(self, lanes: Lanes, regions: Regions) -> None:
        self._lanes = lanes
        self._claimant = Claimant(regions)
        self._opened: weakref.WeakKeyDictionary[Region, Opened] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def read(self, ref: Ref, packed: bytes, tag: Tag | None = None) -> DeviceTensor:
        """The tensor of a ref to a device; see Claimant.claim.

        Raises:
            InvalidRefError: It is no ref that an arena has given out, or the tensor belongs to another
                request, or to one that has ended. Nothing has been opened for it.
            UnreachableError: This process cannot read what lies there.
            ProducerDiedError: The memory is gone with its process.
            ArenaFullError: The arena has as many readers as it can have.
        """
        claim = self._claimant.claim(ref, packed, tag)
        try:
            _check_alive(claim.region)
            memory = self._memory_of(claim, ref)
            ready = memory.event(ref.slot)
            _check_alive(claim.region)  # what was opened before is that of a living process
        except BaseException as error:
            if isinstance(error, UnreachableError):
                claim.claims.refuse()
            claim.drop()
            raise
        end = partial(_end, claim, memory)
        use = Use(self._lanes.device, ready, written=False, end=end, completions=self._lanes.completions)
        form = ref.shape, NUMPY_DTYPES[ref.dtype]
        return DeviceTensor(
            self._lanes, memory.pointer + ref.offset, form, use, partial(_check_alive, claim.region)
        )

    def _memory_of(self, claim: Claim, ref: Ref) -> Block | Opened:
        own = own_block(ref.arena)
        memory = self._opened_once(claim.region, ref) if own is None else own
        if isinstance(memory, Block) and memory.device != self._lanes.device:
            raise UnreachableError("a tensor lies on another device of the same process")
        if ref.dtype == "BYTES" or ref.offset + ref.nbytes > memory.nbytes:
            raise InvalidRefError("a ref reaches beyond its arena")
        return memory

    def _opened_once(self, region: Region, ref: Ref) -> Opened:
        with self._lock:
            opened = self._opened.get(region)
            if opened is None:
                nbytes = record_bytes(region.layout.n_slots)
                if region.layout.max_bytes != nbytes or region.capacity_bytes != nbytes:
                    raise InvalidRefError("a ref names a device, and an arena of the host")
                record = Record(region.data(nbytes), region.arena)
                opened = self._opened[region] = Opened(self._lanes.device, record)
            return opened


def _end(claim: Claim, _memory: Block | Opened) -> None:
    """Ends a use, which keeps the memory open until then."""
    claim.drop()


def _check_alive(region: Region) -> None:
    if not region.alive:
        raise ProducerDiedError("the process has ended in whose memory a tensor lay")
