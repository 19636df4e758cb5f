"""What producers and consumers of tensors on a GPU can count on, also where they are two processes."""

import time

import numpy as np

from corntriton.runtime.cuda.dlpack import forget_unused, take
from corntriton.runtime.cuda.errors import NoDeviceError
from corntriton.runtime.cuda.memory import DeviceMemory
from corntriton.runtime.shm.errors import ArenaFullError, InvalidRefError, TooLargeError
from corntriton.runtime.shm.ref import HOST, Ref
from tests.runtime.cuda.outside import Outsider
from tests.runtime.cuda.world import MB, raises

_ARRAYS = [
    np.arange(12, dtype=np.float32).reshape(3, 4),
    np.arange(24, dtype=np.int64).reshape(2, 3, 4)[:, ::2, ::-1],
    np.array(7, np.uint8),
    np.array([[True], [False]]),
    np.zeros((0, 5), np.float16),
    np.ones((1,) * 8, np.float64),
]


def _used(memory) -> int:
    """Bytes that are not free, once what is still on its way has come free."""
    give_up_s = time.monotonic() + 20
    while memory.usage.used_bytes and time.monotonic() < give_up_s:
        time.sleep(0.001)
    return memory.usage.used_bytes


def test_what_is_put_is_read_by_another_process(world):
    consumer, request = world.process(), world.shared.owner.enter()
    for array in _ARRAYS:
        packed = world.memory.put(array, request.tag)
        assert Ref.unpack(packed).device == world.memory.device.number
        seen = [str(array.dtype), [*array.shape], repr(array.tobytes())]
        assert consumer.ask("content", packed.hex()) == seen


def test_what_is_put_is_read_by_its_own_process(world):
    request = world.shared.owner.enter()
    for array in _ARRAYS:
        read = world.memory.read(world.memory.put(array, request.tag)).numpy()
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        assert (read == array).all()


def test_tensors_of_other_libraries_are_copied_when_they_are_written(world):
    stream, request = world.stream(), world.shared.owner.enter()
    source = Outsider(stream, 1000)
    stream.keep_busy()
    source.fill(5)
    packed = world.memory.put(source, request.tag)
    assert set(world.memory.read(packed).numpy()) == {5}
    source.close()


def test_memory_that_was_asked_for_is_not_copied(world):
    stream, request = world.stream(), world.shared.owner.enter()
    made = world.memory.empty((4, 25), np.uint8)
    made.wait(stream.handle)
    stream.fill(made.pointer, made.nbytes, 3)
    read = world.memory.read(world.memory.put(made, request.tag))
    assert read.pointer == made.pointer
    assert read.shape == (4, 25)
    assert set(read.numpy().flat) == {3}


def test_memory_that_is_put_twice_is_copied_the_second_time(world):
    request = world.shared.owner.enter()
    made = world.memory.empty((100,), np.uint8)
    made.copy_from(np.full(100, 4, np.uint8))
    first, second = (world.memory.read(world.memory.put(made, request.tag)) for _ in range(2))
    assert first.pointer == made.pointer != second.pointer
    assert set(second.numpy()) == {4}


def test_memory_that_was_asked_for_and_forgotten_is_free_again(world):
    for _ in range(10):
        world.memory.empty((4 * MB,), np.uint8, time.monotonic_ns() + 10**10)
    assert _used(world.memory) == 0


def test_memory_comes_free_when_the_request_ends(world):
    for _ in range(10):
        request = world.shared.owner.enter()
        world.memory.put(np.zeros(3 * MB, np.uint8), request.tag)
        request.end()
    assert _used(world.memory) == 0


def test_a_view_keeps_its_memory_and_so_does_what_was_made_of_it(world):
    request = world.shared.owner.enter()
    view = world.memory.read(world.memory.put(np.ones(100, np.uint8), request.tag))
    taken = take(view.__dlpack__(stream=world.stream().handle))
    request.end()
    assert taken.pointer == view.pointer
    assert taken.shape == (100,)
    assert taken.device == view.__dlpack_device__() == (2, 0)
    del view
    assert world.memory.usage.used_bytes > 0
    taken.release()
    assert _used(world.memory) == 0


def test_a_capsule_that_nobody_takes_holds_nothing(world):
    request = world.shared.owner.enter()
    view = world.memory.read(world.memory.put(np.ones(100, np.uint8), request.tag))
    capsule = view.__dlpack__(stream=1)
    request.end()
    del view
    assert world.memory.usage.used_bytes > 0
    del capsule
    forget_unused()
    assert _used(world.memory) == 0


def test_views_are_given_where_they_lie_and_nowhere_else(world):
    request = world.shared.owner.enter()
    view = world.memory.read(world.memory.put(np.ones(100, np.uint8), request.tag))
    with raises(BufferError, "copy"):
        view.__dlpack__(stream=1, copy=True)
    with raises(BufferError, "where it lies"):
        view.__dlpack__(stream=1, dl_device=(1, 0))
    take(view.__dlpack__(stream=-1)).release()
    take(view.__dlpack__()).release()


def test_bytes_stay_on_the_host(world):
    array = np.empty(2, object)
    array[:] = [b"one" * 100, b"\x00two"]
    packed = world.memory.put(array, world.shared.owner.enter().tag)
    assert Ref.unpack(packed).device == HOST
    assert world.process().ask("content", packed.hex()) == ["object", [2], repr([b"one" * 100, b"\x00two"])]


def test_what_lies_on_the_host_is_copied_to_the_reader_s_device(world):
    request = world.shared.owner.enter()
    array = np.arange(5000, dtype=np.float32)
    packed = world.shared.arena.put(array, request.tag)
    view = world.memory.read(packed)
    assert (view.numpy() == array).all()
    assert view.__dlpack_device__() == (2, 0)
    small = world.shared.put(array[:3], request.tag)  # lies in the ref itself
    assert world.memory.read(small).numpy().tolist() == [0, 1, 2]
    assert world.process().ask("content", packed.hex())[2] == repr(array.tobytes())


def test_what_lies_on_the_device_is_staged_for_readers_of_the_host(world):
    stream, request = world.stream(), world.shared.owner.enter()
    source = Outsider(stream, 1000)
    stream.keep_busy()
    source.fill(6)
    packed = world.memory.stage(source, request.tag)
    assert set(world.shared.reader.read(packed)) == {6}
    source.close()


def test_readers_of_the_host_refuse_what_lies_on_a_device(world):
    packed = world.memory.put(np.ones(10), world.shared.owner.enter().tag)
    with raises(InvalidRefError, "device"):
        world.shared.reader.read(packed)


def test_what_has_no_ref_is_refused_and_takes_no_memory(world):
    tag = world.shared.owner.enter().tag
    stream = world.stream()
    elsewhere = Outsider(stream, 10)
    elsewhere.device = 7
    with raises(TypeError, "cuda:7"):
        world.memory.put(elsewhere, tag)
    with raises(TypeError, "dimensions"):
        world.memory.put(np.zeros((1,) * 9), tag)
    with raises(TypeError, "complex"):
        world.memory.put(np.zeros(3, np.complex64), tag)
    with raises(TypeError, "object"):
        world.memory.empty((3,), object)
    assert _used(world.memory) == 0


def test_a_tensor_larger_than_the_arena_is_refused_at_once(world):
    with raises(TooLargeError, "4194304"):
        world.memory.empty((4 * MB + 1,), np.uint8, time.monotonic_ns() + 60 * 10**9)


def test_a_full_arena_refuses_when_the_deadline_has_come(world):
    request = world.shared.owner.enter()
    world.memory.put(np.zeros(4 * MB, np.uint8), request.tag)
    with raises(ArenaFullError, "has no room for"):
        world.memory.put(np.zeros(1, np.uint8), request.tag, time.monotonic_ns() + 10**7)
    request.end()
    assert world.memory.put(np.zeros(1, np.uint8), world.shared.owner.enter().tag)


def test_a_device_without_so_much_memory_says_what_it_is(world):
    with raises(ArenaFullError, r"cuda:0 \(.+\) has no room for an arena of"):
        DeviceMemory("cuda:0", world.shared, 1 << 46)
    assert len([*world.directory.iterdir()]) == 2  # nothing is left of the attempt


def test_devices_that_are_not_there_are_refused(world):
    for name in ("cuda:99", "cpu", "cuda:x"):
        with raises(NoDeviceError, name):
            DeviceMemory(name, world.shared, MB)


def test_the_size_may_be_left_to_what_is_free(world):
    memory = DeviceMemory("cuda", world.shared)
    assert 2 * MB <= memory.usage.capacity_bytes <= 1024 * MB
    memory.close()


def test_who_stops_leaves_nothing(world):
    names = {*world.directory.iterdir()}
    memory = DeviceMemory("cuda:0", world.shared, MB)
    assert {*world.directory.iterdir()} > names
    memory.close()
    assert {*world.directory.iterdir()} == names
