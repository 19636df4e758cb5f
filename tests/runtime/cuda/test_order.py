"""Nobody sees a tensor before it is written or after it is written over, though nobody waits on the host."""

import threading
import time

import numpy as np

from tests.runtime.cuda.outside import Outsider
from tests.runtime.cuda.world import MB


def test_readers_in_other_processes_wait_for_what_is_still_being_made(world):
    producer, consumer = world.process(), world.process()
    for fill, how in enumerate(["in place", "copy", "numpy"] * 3, start=1):
        request = world.shared.owner.enter()
        ref = producer.ask("put", request.text, MB, fill, how, True)
        assert consumer.ask("read", ref, fill) == "right"
        request.end()
    assert (producer.ask("used"), consumer.ask("used")) == (0, 0)


def test_a_claim_stands_until_the_readers_stream_is_through(world):
    """The reader lets go of its view, the request ends, and the producer writes over all that is free."""
    stream, seen = world.stream(), []
    for round_ in range(5):
        request, later = world.shared.owner.enter(), world.shared.owner.enter()
        view = world.memory.read(world.memory.put(np.full(3 * MB, 1, np.uint8), request.tag))
        seen.append(np.zeros(view.nbytes, np.uint8))
        view.wait(stream.handle)
        stream.keep_busy()
        stream.copy_out(view.pointer, seen[-1])
        del view
        request.end()
        world.memory.put(np.full(3 * MB, 2, np.uint8), later.tag, _soon_ns())
        later.end()
        stream.synchronize()
        assert set(seen[-1][::1000]) == {1}, round_


def test_forgotten_memory_is_not_given_again_while_a_stream_still_writes_to_it(world):
    stream = world.stream()
    for _ in range(5):
        request = world.shared.owner.enter()
        forgotten = world.memory.empty((3 * MB,), np.uint8, _soon_ns())
        forgotten.wait(stream.handle)
        stream.keep_busy()
        stream.fill(forgotten.pointer, forgotten.nbytes, 1)
        del forgotten
        packed = world.memory.put(np.full(3 * MB, 2, np.uint8), request.tag, _soon_ns())
        view = world.memory.read(packed)
        stream.synchronize()
        assert set(view.numpy()[::1000]) == {2}
        del view
        request.end()


def _late_copy_for_an_ended_request(world, stream):
    """What it copies from."""
    source, request = Outsider(stream, 3 * MB), world.shared.owner.enter()
    stream.keep_busy()
    source.fill(1)
    world.memory.put(source, request.tag, _soon_ns())
    world.memory.put(np.ones(1), request.tag)  # whose slot comes next, and whose copy is through
    request.end()
    return source


def test_memory_is_not_given_while_a_copy_for_an_ended_request_is_on_its_way_there(world):
    stream, other = world.stream(), world.stream()
    for _ in range(5):
        source, next_ = _late_copy_for_an_ended_request(world, stream), world.shared.owner.enter()
        made = world.memory.empty((3 * MB,), np.uint8, _soon_ns())
        made.wait(other.handle)
        other.fill(made.pointer, made.nbytes, 2)
        view = world.memory.read(world.memory.put(made, next_.tag))
        assert set(view.numpy()[::1000]) == {2}
        del made, view
        next_.end()
        source.close()


def test_a_copy_from_the_host_waits_for_one_within_the_device_for_an_ended_request(world):
    stream = world.stream()
    for _ in range(5):
        source, next_ = _late_copy_for_an_ended_request(world, stream), world.shared.owner.enter()
        view = world.memory.read(world.memory.put(np.full(3 * MB, 2, np.uint8), next_.tag, _soon_ns()))
        source.close()  # waits for the copy out of it
        assert set(view.numpy()[::1000]) == {2}
        del view
        next_.end()


def test_a_source_is_let_go_of_when_it_has_been_copied_and_not_before(world):
    """Libraries use memory again on the stream it was used on, as soon as nobody has it."""
    stream, request = world.stream(), world.shared.owner.enter()
    for _ in range(10):
        released = threading.Event()
        source = Outsider(stream, 1000)
        source.on_release = lambda source=source, released=released: (source.fill(2), released.set())
        source.fill(1)
        view = world.memory.read(world.memory.put(source, request.tag))
        assert released.wait(20)
        assert set(view.numpy()) == {1}
        source.close()


def test_two_streams_that_write_to_one_tensor_do_so_one_after_the_other(world):
    one, other = world.stream(), world.stream()
    made = world.memory.empty((MB,), np.uint8)
    made.wait(one.handle)
    one.keep_busy()
    one.fill(made.pointer, MB, 1)
    made.wait(other.handle)
    other.fill(made.pointer, MB, 2)
    assert set(world.memory.read(world.memory.put(made, world.shared.owner.enter().tag)).numpy()) == {2}


def _soon_ns() -> int:
    return time.monotonic_ns() + 20 * 10**9
