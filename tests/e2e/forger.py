"""What a client could make up who knows all about refs: the refs of a running server, and forgeries of them.

Tests read true refs and credentials from the server's own files, which clients cannot: nobody else has any.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from corntriton.runtime.shm.credential import credential
from corntriton.runtime.shm.layout import (
    CELL_WORDS,
    GENERATION,
    NONCE_HIGH,
    NONCE_LOW,
    NUMBER,
    SLOT_WORDS,
    ArenaId,
    Tag,
)
from corntriton.runtime.shm.ref import REF_BYTES
from corntriton.runtime.shm.region import Region
from corntriton.serving.traces import processes_of

_WORDS = struct.Struct("=24Q")
_ODD = (0, 1, 64, 4096, 2**31, 2**32, 2**47, 2**63, 2**64 - 1)
_DIRECTORY = Path("/dev/shm")


def regions(server_id: str) -> list[Region]:
    """All arenas of the server's processes."""
    pids = processes_of(server_id)
    found = [ArenaId.parse(path.name) for path in _DIRECTORY.glob("corntriton-arena-*")]
    return [Region(_DIRECTORY, arena) for arena in found if arena is not None and arena.pid in pids]


def refs_in(region: Region) -> list[bytes]:
    """The refs of all tensors in an arena, those of ended requests included."""
    layout = region.layout
    words = region.words[layout.slots_at : layout.slots_at + layout.n_slots * SLOT_WORDS]
    slots = np.frombuffer(words, np.uint64).reshape(-1, SLOT_WORDS)
    return [slot.tobytes()[:REF_BYTES] for slot in slots if slot[GENERATION]]


def owners_in(region: Region) -> list[str]:
    """The credentials of the live requests that the arena's process owns."""
    cells = [(index, region.cell(index) or [0] * CELL_WORDS) for index in range(region.layout.n_cells)]
    return [
        credential(Tag(region.arena, index, cell[NUMBER]), (cell[NONCE_HIGH], cell[NONCE_LOW]))
        for index, cell in cells
        if cell[NUMBER]
    ]


def forgeries(ref: bytes, other: bytes, draw: random.Random) -> Iterator[bytes]:
    """Made of true refs, none of which any of them is."""
    yield from {forged for forged in _all(ref, other, draw) if forged not in (ref, other)}


def _all(ref: bytes, other: bytes, draw: random.Random) -> Iterator[bytes]:
    for bit in range(8 * REF_BYTES):
        flipped = bytearray(ref)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)
    words, others = _WORDS.unpack(ref), _WORDS.unpack(other)
    for index, word in enumerate(words):
        for odd in (*_ODD, word + 1, word - 1, word + 64, others[index], draw.getrandbits(64)):
            yield _WORDS.pack(*words[:index], odd % 2**64, *words[index + 1 :])
    for nbytes in range(0, REF_BYTES, 8):
        yield ref[:nbytes] + bytes(REF_BYTES - nbytes)
        yield ref[nbytes:] + ref[:nbytes]
        yield ref[:nbytes] + other[nbytes:]
    for _ in range(900):
        yield draw.randbytes(REF_BYTES)
        yield ref[:8] + draw.randbytes(REF_BYTES - 8)


def false_owners(owner: str, ended: str, draw: random.Random) -> Iterator[str | int | bool]:
    """Owner parameters that name no live request; `owner` is of one, `ended` was."""
    name, cell, number, nonce = owner.split(":")
    yield from (ended, "", "x", ":::", 0, 1, True, -1, owner.upper(), owner + "0", owner[:-1], f" {owner}")
    yield from (f"{name}:{cell}:{number}:{draw.getrandbits(128):032x}" for _ in range(50))
    yield from (f"{name}:{other}:{number}:{nonce}" for other in (int(cell) + 1, 10**8, 10**20))
    yield from (f"{name}:{cell}:{other}:{nonce}" for other in (0, int(number) + 1, 10**17))
    yield f"corntriton-arena-1-{draw.getrandbits(128):032x}:{cell}:{number}:{nonce}"
    yield f"corntriton-arena-../../etc/passwd:{cell}:{number}:{nonce}"
