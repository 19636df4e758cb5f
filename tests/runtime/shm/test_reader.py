"""What a reader can count on, and what it refuses."""

import gc
import os
import random
from contextlib import suppress

import numpy as np
import pytest

from corntriton.runtime.shm.errors import ArenaFullError, InvalidRefError
from corntriton.runtime.shm.layout import N_READERS, SLOT_WORDS
from corntriton.runtime.shm.reader import Reader
from corntriton.runtime.shm.ref import Ref
from corntriton.runtime.shm.regions import Regions

KB = 1024


@pytest.fixture
def put(owner, producer):
    """Puts an array for a request of its own; gives the request and the ref."""

    def one(array: np.ndarray):
        request = owner.owner.enter()
        return request, producer.arena.put(array, request.tag)

    return one


def test_nobody_can_write_to_what_was_read(put, consumer):
    read = consumer.reader.read(put(np.zeros(5))[1])
    with pytest.raises(ValueError, match="read-only"):
        read[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        read.flags.writeable = True


def test_the_producers_own_process_reads_like_any_other(put, producer):
    assert producer.reader.read(put(np.arange(5))[1]).tolist() == [0, 1, 2, 3, 4]


def _reused(producer, owner) -> None:
    """Fills all that is free of the arena with other content."""
    request = owner.owner.enter()
    with suppress(ArenaFullError):
        while True:
            producer.arena.put(np.full(16 * KB, 255, np.uint8), request.tag)
    request.end()


@pytest.mark.parametrize(
    "view",
    [
        lambda array: array,
        lambda array: array[1:][2:, :3],
        lambda array: array.reshape(-1).view(np.uint8),
        lambda array: memoryview(array)[3:],
        lambda array: np.asarray(memoryview(array[2:])),
        lambda array: np.frombuffer(array.data, np.uint8),
        lambda array: [*array],
    ],
)
def test_what_was_read_stays_as_long_as_any_view_of_it(view, put, producer, consumer, owner):
    array = np.arange(32 * KB, dtype=np.int32).reshape(-1, 8)
    request, ref = put(array)
    read, before = view(consumer.reader.read(ref)), np.array(view(array))
    request.end()
    _reused(producer, owner)
    gc.collect()
    assert (np.array(read) == before).all()
    assert producer.arena.usage.used_bytes == array.nbytes
    del read
    assert producer.arena.usage.used_bytes == 0


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_torch_keeps_what_was_read(put, producer, consumer):
    torch = pytest.importorskip("torch")
    request, ref = put(np.ones(100, np.float32))
    tensor = torch.from_numpy(consumer.reader.read(ref))[10:]
    request.end()
    assert producer.arena.usage.used_bytes > 0
    assert tensor.sum() == 90
    del tensor
    assert producer.arena.usage.used_bytes == 0


def test_bytes_are_copied_and_hold_nothing(put, producer, consumer):
    array = np.empty(2, object)
    array[:] = [b"a" * 1000, b"b"]
    request, ref = put(array)
    read = consumer.reader.read(ref)
    request.end()
    assert producer.arena.usage.used_bytes == 0
    assert read.tolist() == array.tolist()


def test_two_views_of_one_tensor_hold_it_until_both_are_gone(put, producer, consumer):
    request, ref = put(np.ones(100))
    one, other = consumer.reader.read(ref), consumer.reader.read(ref)
    request.end()
    del one
    assert producer.arena.usage.used_bytes > 0
    del other
    assert producer.arena.usage.used_bytes == 0


def test_a_tensor_of_an_ended_request_is_refused_even_while_another_still_reads_it(put, producer, consumer):
    request, ref = put(np.ones(100))
    first = consumer.reader.read(ref)
    request.end()
    producer.arena.usage  # noqa: B018  reclaims
    with pytest.raises(InvalidRefError, match="gone"):
        consumer.reader.read(ref)
    assert first.sum() == 100


def test_a_dead_readers_claim_counts_no_more(put, producer, directory):
    regions = Regions(directory)
    request, ref = put(np.ones(100))
    array = Reader(regions).read(ref)
    request.end()
    assert producer.arena.usage.used_bytes > 0
    regions.find(Ref.unpack(ref).arena).file.close()  # as the death of its process would
    assert producer.arena.usage.used_bytes == 0
    del array


def test_a_dead_readers_row_is_taken_by_the_next(put, producer, directory):
    _, ref = put(np.ones(100))
    for _ in range(N_READERS + 1):
        assert Reader(Regions(directory)).read(ref).sum() == 100


def test_more_readers_than_rows_are_refused(put, directory):
    _, ref = put(np.ones(100))
    readers = [Reader(Regions(directory)) for _ in range(N_READERS + 1)]
    held = [reader.read(ref) for reader in readers[:-1]]
    with pytest.raises(ArenaFullError, match="256 readers"):
        readers[-1].read(ref)
    assert len(held) == N_READERS


def test_a_forked_child_neither_drops_its_parents_claims_nor_puts_into_its_arena(put, producer, consumer):
    request, ref = put(np.ones(100))
    array = consumer.reader.read(ref)
    child = os.fork()
    if child == 0:
        ok = consumer.reader.read(ref).sum() == 100
        del array
        try:
            producer.arena.put(np.ones(1), request.tag)
        except ArenaFullError:
            os._exit(0 if ok else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    request.end()
    assert producer.arena.usage.used_bytes > 0
    del array
    assert producer.arena.usage.used_bytes == 0


def test_every_ref_with_a_wrong_bit_is_refused(put, consumer):
    arrays = [np.arange(100, dtype=np.float32), np.zeros((0, 3)), np.array([b"x", b"yy"], object)]
    arrays += [np.zeros((2,) * 8, np.uint8), np.ones(3, bool)]
    n_refused = 0
    for _, ref in map(put, arrays):
        for bit in range(8 * len(ref)):
            forged = bytearray(ref)
            forged[bit // 8] ^= 1 << bit % 8
            with pytest.raises(InvalidRefError):
                consumer.reader.read(bytes(forged))
            n_refused += 1
    assert n_refused == 5 * 1536


def test_cut_and_lengthened_refs_are_refused(put, consumer):
    _, ref = put(np.zeros(5))
    for length in range(len(ref)):
        with pytest.raises(InvalidRefError):
            consumer.reader.read(ref[:length])
    with pytest.raises(InvalidRefError):
        consumer.reader.read(ref + b"\0")


def test_refs_with_any_bytes_wrong_are_refused(put, consumer):
    _, ref = put(np.zeros(5))
    _, other = put(np.ones(5))
    chance = random.Random(4)
    for _ in range(3000):
        forged = bytearray(ref)
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(ref))
            forged[at] = chance.choice((chance.randrange(256), other[at], 0, 255))
        if bytes(forged) == ref:
            continue
        with pytest.raises(InvalidRefError):
            consumer.reader.read(bytes(forged))


def test_each_field_of_another_tensors_ref_is_refused(put, consumer, owner):
    ref, other = (Ref.unpack(put(np.full(size, 1, np.uint8))[1]) for size in (64, 128))
    for field in Ref._fields:
        if getattr(ref, field) != getattr(other, field):
            with pytest.raises(InvalidRefError):
                consumer.reader.read(ref._replace(**{field: getattr(other, field)}).pack())
    with pytest.raises(InvalidRefError):
        consumer.reader.read(ref._replace(arena=owner.arena._backing.arena).pack())


def test_stale_refs_are_refused(owner, producer, consumer):
    stale = []
    for _ in range(500):
        request = owner.owner.enter()
        stale.append(producer.arena.put(np.zeros(KB, np.uint8), request.tag))
        request.end()
    keeper = owner.owner.enter()
    for _ in range(10):
        producer.arena.put(np.ones(KB, np.uint8), keeper.tag)
    for ref in stale:
        with pytest.raises(InvalidRefError):
            consumer.reader.read(ref)


def test_a_ref_that_reaches_beyond_the_memory_is_refused_whatever_its_slot_says(put, producer, consumer):
    ref = Ref.unpack(put(np.zeros(KB, np.uint8))[1])
    backing = producer.arena._backing
    forged = ref._replace(offset=backing.capacity_bytes).pack()
    begin = backing.layout.slot(ref.slot)
    assert len(forged) < SLOT_WORDS * 8
    for index in range(len(forged) // 8):
        backing.words[begin + index] = int.from_bytes(forged[8 * index : 8 * index + 8], "little")
    with pytest.raises(InvalidRefError, match="beyond"):
        consumer.reader.read(forged)


def test_damaged_bytes_tensors_are_refused(put, producer, consumer):
    array = np.array([b"four", b"five!"], object)
    _, packed = put(array)
    ref = Ref.unpack(packed)
    data = producer.arena._backing.data
    for length in (3, 5, 2**32 - 1):
        data[ref.offset : ref.offset + 4] = length.to_bytes(4, "little")
        with pytest.raises(InvalidRefError):
            consumer.reader.read(packed)
    data[ref.offset : ref.offset + 4] = (4).to_bytes(4, "little")
    assert consumer.reader.read(packed).tolist() == array.tolist()
