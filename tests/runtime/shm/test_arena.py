"""What a producer can count on."""

import threading
import time

import numpy as np
import pytest

from corntriton.runtime.shm.errors import ArenaFullError, TooLargeError

MB = 1 << 20


def bytes_array(*elements: bytes, shape: tuple[int, ...] | None = None) -> np.ndarray:
    array = np.empty(len(elements), object)
    array[:] = elements
    return array.reshape(shape or array.shape)


@pytest.fixture
def request_(owner):
    return owner.owner.enter()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.arange(24, dtype=np.int64).reshape(2, 3, 4)[:, ::2, ::-1],
        np.array(7, np.uint8),
        np.array([[True], [False]]),
        np.zeros((0, 5), np.float16),
        np.zeros((1,) * 8, np.float64),
        bytes_array(b"", b"one", b"\x00two" * 1000, b"", shape=(2, 2)),
        bytes_array(),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_what_is_put_is_read(array, request_, producer, consumer):
    read = consumer.reader.read(producer.arena.put(array, request_.tag))
    assert (read.dtype, read.shape) == (array.dtype, array.shape)
    assert (read == array).all()


def test_memory_that_was_asked_for_is_not_copied(request_, producer, consumer):
    array = producer.arena.empty((4, 5), np.float32)
    array[...] = 1
    read = consumer.reader.read(producer.arena.put(array, request_.tag))
    array[2, 3] = 9  # against the rules, but it shows
    assert read[2, 3] == 9


def test_the_front_of_memory_that_was_asked_for_is_not_copied_either(request_, producer, consumer):
    array = producer.arena.empty((100,), np.int32)
    front = array[:10].reshape(1, 2, 5)
    read = consumer.reader.read(producer.arena.put(front, request_.tag))
    array[:10] = range(10)
    assert read.tolist() == [[[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]]


def test_other_parts_of_memory_that_was_asked_for_are_copied(request_, producer, consumer):
    array = producer.arena.empty((2, 50), np.int32)
    array[...] = 1
    read = [consumer.reader.read(producer.arena.put(part, request_.tag)) for part in (array[1], array[:, :3])]
    array[...] = 2
    assert [set(part.flat) for part in read] == [{1}, {1}]


def test_memory_that_is_put_twice_is_copied_the_second_time(request_, producer, consumer):
    array = producer.arena.empty((50,), np.int32)
    first = producer.arena.put(array, request_.tag)
    array[...] = 1
    second = consumer.reader.read(producer.arena.put(array, request_.tag))
    array[...] = 2
    assert set(second) == {1}
    assert set(consumer.reader.read(first)) == {2}


def test_memory_that_was_asked_for_and_forgotten_is_free_again(producer):
    for _ in range(10):
        producer.arena.empty((MB,), np.uint8)
    assert producer.arena.usage.used_bytes == 0


def test_memory_is_not_used_again_while_its_maker_holds_it(owner, producer):
    request = owner.owner.enter()
    array = producer.arena.empty((MB // 2,), np.uint8)
    array[...] = 1
    view = array[5:]
    producer.arena.put(array, request.tag)
    request.end()
    del array
    assert producer.arena.usage.used_bytes == MB // 2
    producer.arena.empty((MB // 2,), np.uint8)[...] = 2
    assert set(view) == {1}
    del view
    assert producer.arena.usage.used_bytes == 0


def test_memory_comes_free_when_the_request_ends(owner, producer):
    for _ in range(20):
        request = owner.owner.enter()
        producer.arena.put(np.zeros(MB, np.uint8), request.tag)
        request.end()
    assert producer.arena.usage.used_bytes == 0


def test_an_arena_grows_and_what_was_read_stays_where_it_is(make, owner, consumer, request_):
    producer = make(64 * MB)
    early = consumer.reader.read(producer.arena.put(np.full(1000, 7), request_.tag))
    late = consumer.reader.read(producer.arena.put(np.full(30 * MB, 8, np.uint8), request_.tag))
    assert producer.arena.usage.capacity_bytes > 30 * MB
    assert (set(early), set(late[::4096])) == ({7}, {8})


def test_an_arena_takes_no_more_memory_than_it_needs(make, owner):
    producer = make(64 * MB)
    assert producer.arena.usage.capacity_bytes == 0
    for _ in range(100):
        request = owner.owner.enter()
        producer.arena.put(np.zeros(MB, np.uint8), request.tag)
        request.end()
    assert producer.arena.usage.capacity_bytes <= 2 * MB


def test_a_tensor_larger_than_the_arena_is_refused_at_once(request_, producer):
    with pytest.raises(TooLargeError, match="1048576"):
        producer.arena.put(np.zeros(MB + 1, np.uint8), request_.tag, time.monotonic_ns() + 60 * 10**9)


def test_a_full_arena_refuses_when_the_deadline_has_come(request_, producer):
    producer.arena.put(np.zeros(MB, np.uint8), request_.tag)
    with pytest.raises(ArenaFullError, match="no room"):
        producer.arena.put(np.zeros(1, np.uint8), request_.tag, time.monotonic_ns() + 10**7)


def test_a_full_arena_waits_for_a_request_to_end(owner, producer):
    first, second = owner.owner.enter(), owner.owner.enter()
    producer.arena.put(np.zeros(MB, np.uint8), first.tag)
    timer = threading.Timer(0.05, first.end)
    timer.start()
    assert producer.arena.put(np.zeros(MB, np.uint8), second.tag, time.monotonic_ns() + 60 * 10**9)
    timer.join()


def test_slots_run_out_as_memory_does(make, owner):
    producer, request = make(n_slots=3), owner.owner.enter()
    for _ in range(3):
        producer.arena.put(np.zeros(1, np.uint8), request.tag)
    with pytest.raises(ArenaFullError):
        producer.arena.put(np.zeros(1, np.uint8), request.tag)
    request.end()
    assert producer.arena.put(np.zeros(1, np.uint8), owner.owner.enter().tag)


def test_tensors_of_a_dead_owner_come_free(make, producer):
    owner = make(n_requests=1)
    producer.arena.put(np.zeros(MB, np.uint8), owner.owner.enter().tag)
    assert producer.arena.usage.used_bytes == MB
    owner.arena._backing.abandon()
    assert producer.arena.usage.used_bytes == 0


def test_what_cannot_be_put_takes_no_memory(request_, producer):
    with pytest.raises(TypeError):
        producer.arena.put(np.array(["text"]), request_.tag)
    with pytest.raises(TypeError):
        producer.arena.put(np.zeros((1,) * 9), request_.tag)
    with pytest.raises(TypeError):
        producer.arena.put(np.array(["no bytes"], object), request_.tag)
    with pytest.raises(TypeError):
        producer.arena.empty((3,), object)
    assert producer.arena.usage.used_bytes == 0


def test_many_threads_may_put_at_once(owner, make, consumer):
    producer, wrong = make(4 * MB), []

    def work(number: int) -> None:
        for round_ in range(50):
            request = owner.owner.enter()
            array, soon_ns = np.full(10_000 + number, 100 * number + round_), time.monotonic_ns() + 10**10
            with request.invocation():
                read = consumer.reader.read(producer.arena.put(array, request.tag, soon_ns))
            request.end()
            if not (read == array).all():
                wrong.append((number, round_))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert producer.arena.usage.used_bytes == 0


@pytest.mark.parametrize("shape", [(), (3,), (2, 0)])
def test_bytes_that_were_written_in_place_become_a_tensor_of_any_form(shape, request_, producer, consumer):
    tensor = np.full(shape, 1.5, np.float32)
    memory = producer.arena.empty((tensor.nbytes,), np.uint8)
    memory[:] = np.frombuffer(tensor.tobytes(), np.uint8)
    read = consumer.reader.read(producer.arena.put_bytes(memory, "FP32", shape, request_.tag))
    assert (read.dtype, read.shape, read.tolist()) == (tensor.dtype, shape, tensor.tolist())


def test_the_bytes_of_any_tensor_can_be_read_and_put_again(request_, producer, consumer):
    texts = bytes_array(b"", b"one", b"\0two" * 100, b"", shape=(2, 2))
    encoded = consumer.reader.read_bytes(producer.arena.put(texts, request_.tag))
    memory = consumer.arena.empty(encoded.shape, np.uint8)
    memory[:] = encoded
    again = consumer.arena.put_bytes(memory, "BYTES", (2, 2), request_.tag)
    assert producer.reader.read(again).tolist() == texts.tolist()


def test_bytes_elsewhere_or_put_already_are_no_memory_of_the_arena(request_, producer, consumer):
    memory = producer.arena.empty((100,), np.uint8)
    producer.arena.put_bytes(memory, "UINT8", (100,), request_.tag)
    for one in (memory, np.zeros(100, np.uint8), consumer.arena.empty((100,), np.uint8)):
        with pytest.raises(ValueError, match="not memory of this arena"):
            producer.arena.put_bytes(one, "UINT8", (100,), request_.tag)
