"""What nobody may ask of a transfer model: made-up refs, owners and calls."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from corntriton.runtime.failures import CallError
from corntriton.runtime.shm.credential import verify
from corntriton.runtime.shm.ref import Ref
from corntriton.runtime.transfer.client import Peer
from corntriton.runtime.transfer.settings import MODEL
from tests.runtime.transfer.conftest import TIMEOUT_US, bring

pytestmark = pytest.mark.server


def test_made_up_refs_are_refused_where_the_tensor_lies(source, target):
    (packed, owned), (other, _) = source.put(np.arange(1000)), source.put(np.arange(2000))
    ref, another = Ref.unpack(packed), Ref.unpack(other)
    forged = [
        ref._replace(nonce=(1, 2)),
        ref._replace(generation=ref.generation + 1),
        ref._replace(slot=1 << 40),
        ref._replace(offset=another.offset),
        ref._replace(nbytes=2**40, shape=(2**37,)),
        ref._replace(arena=ref.arena._replace(pid=1)),
        another._replace(nonce=ref.nonce),
    ]
    for one in forged:
        for ask in (bring, lambda _, ref: source.talk(lambda peer: peer.read(ref))):
            with pytest.raises(CallError) as failure:
                ask(target, one.pack())
            # What is larger than the arena is refused before anybody is asked.
            assert failure.value.code in ("INVALID_ARG", "INTERNAL"), one
            assert "ref names" in str(failure.value) or "a ref is" in str(failure.value), one
    owned.end()


def test_what_cannot_be_a_ref_is_refused(target):
    for packed, reason in ((b"x" * 192, "no ref"), (b"x" * 191, "192 bytes each")):
        with pytest.raises(CallError, match=reason) as failure:
            bring(target, packed)
        assert failure.value.code == "INVALID_ARG"


def test_made_up_owners_are_refused(source, target):
    ref, owned = source.put(np.arange(1000))
    others = target.memory.owner.enter()  # a live request there, but no lease
    for owner in (owned.text, others.text, "nobody", ""):
        with pytest.raises(CallError, match="owner parameter") as failure:
            target.talk(lambda peer, owner=owner: peer.bring(owner, [ref], TIMEOUT_US))
        assert failure.value.code == "INVALID_ARG"
        target.talk(lambda peer, owner=owner: peer.renew([owner]))
        target.talk(lambda peer, owner=owner: peer.end([owner]))
    assert verify(others.text, target.memory.regions) == others.tag
    owned.end()
    others.end()


@pytest.mark.parametrize(
    "call",
    [
        "",
        "{",
        "[]",
        '{"op": "erase"}',
        '{"op": "bring"}',
        '{"op": "bring", "timeout_us": -1}',
        '{"op": "read", "begin": 0, "nbytes": 1}',
        '{"op": "end", "owners": "all"}',
        '{"op": "renew"}',
    ],
)
def test_a_call_that_makes_no_sense_is_refused(call, target):
    async def run() -> None:
        one = InferInput("call", [1], "BYTES")
        one.set_data_from_numpy(np.array([call], np.object_))
        async with InferenceServerClient(target.address) as client:
            await client.infer(MODEL, [one])

    with pytest.raises(InferenceServerException) as failure:
        asyncio.run(run())
    assert failure.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_a_range_beyond_the_tensor_is_refused(source):
    ref, owned = source.put(np.arange(1000, dtype=np.uint8))
    for begin, nbytes in ((1000, 1), (0, 1001), (2**63, 1)):

        async def run(peer: Peer, begin: int = begin, nbytes: int = nbytes) -> None:
            await peer._chunk(ref, begin, nbytes)

        with pytest.raises(CallError, match="beyond the tensor") as failure:
            source.talk(run)
        assert failure.value.code == "INVALID_ARG"
    owned.end()
