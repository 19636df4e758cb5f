"""Refs that are forged or stale, and processes that die."""

import random

import numpy as np

from corntriton.runtime.cuda.errors import ProducerDiedError
from corntriton.runtime.shm.errors import InvalidRefError
from corntriton.runtime.shm.ref import HOST, Ref
from corntriton.runtime.shm.region import Region
from tests.runtime.cuda.world import MB, raises


def _refused(memory, packed: bytes) -> None:
    with raises(InvalidRefError):
        memory.read(packed)


def test_every_ref_with_a_wrong_bit_is_refused(world):
    for array in (np.arange(100, dtype=np.float32), np.zeros((0, 3)), np.ones(3, bool)):
        packed = world.memory.put(array, world.shared.owner.enter().tag)
        for bit in range(8 * len(packed)):
            forged = bytearray(packed)
            forged[bit // 8] ^= 1 << bit % 8
            _refused(world.memory, bytes(forged))


def test_refs_with_any_bytes_wrong_are_refused(world):
    tag = world.shared.owner.enter().tag
    packed, other = (world.memory.put(np.full(size, 1), tag) for size in (5, 6))
    chance = random.Random(4)
    for _ in range(2000):
        forged = bytearray(packed)
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(packed))
            forged[at] = chance.choice((chance.randrange(256), other[at], 0, 255))
        if bytes(forged) not in (packed, other):
            _refused(world.memory, bytes(forged))
    for length in range(len(packed)):
        _refused(world.memory, packed[:length])


def test_a_ref_of_the_device_is_none_of_the_host_nor_the_other_way_round(world):
    tag = world.shared.owner.enter().tag
    on_device = Ref.unpack(world.memory.put(np.ones(10), tag))
    on_host = Ref.unpack(world.shared.arena.put(np.ones(10), tag))
    _refused(world.memory, on_device._replace(device=HOST).pack())
    _refused(world.memory, on_host._replace(device=on_device.device).pack())
    _refused(world.memory, on_device._replace(device=on_device.device ^ 1).pack())


def test_a_ref_of_another_request_is_refused(world):
    request, other = world.shared.owner.enter(), world.shared.owner.enter()
    for put in (world.memory.put, world.memory.stage):
        packed = put(np.ones(1000), request.tag)
        with raises(InvalidRefError, "another request"):
            world.memory.read(packed, other.tag)
        assert set(world.memory.read(packed, request.tag).numpy()) == {1}


def test_stale_refs_are_refused(world):
    stale = []
    for _ in range(100):
        request = world.shared.owner.enter()
        stale.append(world.memory.put(np.zeros(1000, np.uint8), request.tag))
        request.end()
    keeper = world.shared.owner.enter()
    for _ in range(10):
        world.memory.put(np.ones(1000, np.uint8), keeper.tag)
    for packed in stale:
        _refused(world.memory, packed)


def test_handles_that_the_producer_did_not_write_never_reach_the_driver(world):
    """Whoever can write to an arena's file is its user already; but what is damaged does no more damage."""
    producer, request = world.process(), world.shared.owner.enter()
    ref = bytes.fromhex(producer.ask("put", request.text, 1000, 1, "numpy"))
    region = Region(world.directory, Ref.unpack(ref).arena)
    with open(world.directory / region.arena.name, "r+b", buffering=0) as file:
        for at in (0, 8, 16, 79, 80, 95):
            file.seek(region.layout.data_byte + at)
            before = file.read(1)
            file.seek(region.layout.data_byte + at)
            file.write(bytes([before[0] ^ 1]))
            with raises(InvalidRefError, "handles"):
                world.memory.read(ref)
            file.seek(region.layout.data_byte + at)
            file.write(before)
    assert set(world.memory.read(ref).numpy()) == {1}


def test_what_a_dead_process_put_is_refused(world):
    producer, consumer, request = world.process(), world.process(), world.shared.owner.enter()
    first, second = (producer.ask("put", request.text, 1000, 1, "copy") for _ in range(2))
    assert consumer.ask("hold", first) == "held"
    assert consumer.ask("check") == "right"
    producer.kill()
    assert consumer.ask("check") == "died"
    assert consumer.ask("read", second, 1) == "died"
    with raises(ProducerDiedError):
        world.memory.read(bytes.fromhex(second))
    assert consumer.ask("drop") == "dropped"
    assert consumer.ask("put", request.text, 1000, 1, "copy")


def test_a_dead_readers_claim_counts_no_more(world):
    consumer, request = world.process(), world.shared.owner.enter()
    packed = world.memory.put(np.zeros(MB, np.uint8), request.tag)
    assert consumer.ask("hold", packed.hex()) == "held"
    request.end()
    assert world.memory.usage.used_bytes > 0
    consumer.kill()
    assert world.memory.usage.used_bytes == 0


def test_the_memory_of_a_dead_process_is_free_for_the_next(world):
    request = world.shared.owner.enter()
    for fill in range(1, 5):
        producer = world.process()
        ref = producer.ask("put", request.text, MB, fill, "copy")
        assert set(world.memory.read(bytes.fromhex(ref)).numpy()[::1000]) == {fill}
        producer.kill()
