"""What stays in the directory after processes stopped or died."""

import gc
import os
import stat

import numpy as np
import pytest

from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.sweep import sweep


def _names(directory):
    return sorted(os.listdir(directory))


def _die(memory) -> None:
    memory.arena._backing.abandon()


def test_files_are_private_and_not_to_be_guessed(make, directory):
    make()
    (name,) = _names(directory)
    assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
    assert len(name.rsplit("-", 1)[1]) == 32


def test_who_stops_leaves_nothing(make, directory):
    memory = make()
    memory.close()
    assert _names(directory) == []


def test_a_dead_process_is_cleared_away_when_the_next_starts(make, directory):
    _die(make())
    survivor = make()
    assert _names(directory) == [survivor.arena._backing.arena.name]


def test_what_is_not_an_arena_stays(directory):
    for name in ("other", "corntriton-arena-x", "corntriton-arena-1-" + "0" * 31):
        (directory / name).touch()
    sweep(directory)
    assert len(_names(directory)) == 3


def test_a_file_that_its_maker_never_finished_is_cleared_away(directory):
    (directory / ("corntriton-arena-1-" + "0" * 32)).touch(0o600)
    sweep(directory)
    assert _names(directory) == []


@pytest.mark.parametrize("leave", [_die, lambda memory: memory.close()], ids=["dies", "stops"])
def test_tensors_outlive_their_producer_as_long_as_their_request(leave, make, owner, consumer, directory):
    producer, request = make(), owner.owner.enter()
    ref = producer.arena.put(np.arange(5), request.tag)
    leave(producer)
    sweep(directory)
    assert consumer.reader.read(ref).tolist() == [0, 1, 2, 3, 4]
    request.end()
    sweep(directory)
    assert producer.arena._backing.arena.name not in _names(directory)


def test_tensors_of_a_dead_owner_do_not_outlive_their_producer(make, directory):
    owner, producer = make(n_requests=1), make()
    producer.arena.put(np.arange(5), owner.owner.enter().tag)
    _die(owner)
    _die(producer)
    sweep(directory)
    assert _names(directory) == []


def test_what_was_read_of_a_dead_process_stays_readable(make, owner, consumer, directory):
    producer, request = make(), owner.owner.enter()
    array = consumer.reader.read(producer.arena.put(np.arange(5), request.tag))
    _die(producer)
    request.end()
    sweep(directory)
    assert array.tolist() == [0, 1, 2, 3, 4]


def test_who_stops_leaves_no_file_open(directory):
    def life() -> None:
        memory = SharedMemory(1 << 20, n_requests=1, directory=directory)
        request = memory.owner.enter()
        array = memory.arena.empty((100,), np.uint8)
        ref = memory.arena.put(array, request.tag)
        held = [memory.arena.empty((100,), np.uint8), memory.reader.read(ref)]
        memory.close()
        assert len(held) == 2

    gc.collect()
    gc.disable()
    before = os.listdir("/proc/self/fd")
    try:
        life()
        assert os.listdir("/proc/self/fd") == before
    finally:
        gc.enable()
