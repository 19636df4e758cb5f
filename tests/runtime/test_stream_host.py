from __future__ import annotations

import os
import queue
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc_client

from corntriton.record.signature import Port, Signature
from corntriton.runtime.settings import ComponentSettings

pytestmark = pytest.mark.server

COUNTER = Signature(
    {
        "count": Port("INT32"),
        "pause_s": Port("FP32", optional=True),
        "fail": Port("BOOL", optional=True),
        "die": Port("BOOL", optional=True),
    },
    {"number": Port("INT64", optional=True), "word": Port("BYTES", optional=True)},
    streaming=True,
)


@pytest.fixture(scope="module")
def note(tmp_path_factory):
    return tmp_path_factory.mktemp("notes") / "note"


@pytest.fixture(scope="module")
def client(serve, note):
    settings = {"note": str(note)}
    return serve(
        ComponentSettings(
            "counter", "python", "parts:Counter", COUNTER, 4, settings=settings, watchdog_s=0.2
        ),
        ComponentSettings(
            "inlined", "python", "parts:Counter", COUNTER, 4, settings=settings, isolated=False
        ),
    )


@pytest.fixture
def ask(client):
    """Opens streams; an idle one that nobody closes would hold up the server's exit."""
    streams = []

    def open_stream(**request):
        streams.append(Stream(client, **request))
        return streams[-1]

    yield open_stream
    for stream in streams:
        stream.grpc.stop_stream(cancel_requests=False)


class Stream:
    """One gRPC stream; what comes on it waits in a queue."""

    def __init__(self, client, **request):
        self.grpc = grpc_client.InferenceServerClient(client.server.grpc_url)
        self.answers = queue.SimpleQueue()
        self.grpc.start_stream(lambda result, error: self.answers.put(error or result))
        self.send(**request)

    def send(self, model="counter", outputs=("number",), parameters=None, **inputs):
        given = []
        for name, value in inputs.items():
            port = COUNTER.inputs[name]
            given.append(grpc_client.InferInput(name, [1, 1], port.dtype))
            dtype = {"INT32": np.int32, "FP32": np.float32, "BOOL": bool}[port.dtype]
            given[-1].set_data_from_numpy(np.array([[value]], dtype))
        wanted = [grpc_client.InferRequestedOutput(name) for name in outputs]
        self.grpc.async_stream_infer(
            model, given, outputs=wanted, enable_empty_final_response=True, parameters=parameters
        )

    def next(self):
        return self.answers.get(timeout=20)

    def numbers(self):
        """The numbers until the end, and the error if there was one."""
        numbers, answer = [], self.next()
        while not isinstance(answer, Exception):
            if answer.as_numpy("number") is not None:
                numbers.append(int(answer.as_numpy("number")[0, 0]))
            if answer.get_response().parameters["triton_final_response"].bool_param:
                return numbers, None
            answer = self.next()
        return numbers, answer.message()

    def leave(self):
        self.grpc.stop_stream(cancel_requests=True)


@pytest.mark.parametrize("model", ["counter", "inlined"])
def test_chunks_come_in_order_and_then_the_end(ask, model):
    assert ask(model=model, count=5).numbers() == ([0, 1, 2, 3, 4], None)


def test_a_stream_without_chunks_only_ends(ask):
    assert ask(count=0).numbers() == ([], None)


def test_a_chunk_is_sent_before_the_next_is_made(ask):
    stream = ask(count=2, pause_s=0.5)
    assert stream.next().as_numpy("number") == 0
    assert stream.answers.empty()
    assert stream.numbers() == ([1], None)


def test_only_requested_outputs_are_sent(ask):
    answer = ask(count=1, outputs=["word"]).next()
    assert [output.name for output in answer.get_response().outputs] == ["word"]
    assert answer.as_numpy("word").tolist() == [[b"w0"]]


def test_streams_run_side_by_side(ask):
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(lambda: ask(count=20).numbers()) for _ in range(12)]
        assert [future.result() for future in asked] == [([*range(20)], None)] * 12


@pytest.mark.parametrize("model", ["counter", "inlined"])
def test_an_error_ends_the_stream_after_the_chunks_before_it(ask, model):
    numbers, error = ask(model=model, count=9, fail=True).numbers()
    assert numbers == [0, 1, 2]
    assert error == f"component {model}: ValueError: three is too many"


@pytest.mark.parametrize("model", ["counter", "inlined"])
def test_the_generator_is_closed_when_the_client_leaves(ask, note, model):
    note.unlink(missing_ok=True)
    stream = ask(model=model, count=1_000_000, pause_s=0.02)
    stream.next()
    assert not note.exists()
    stream.leave()
    wait_for(note.exists)
    assert ask(model=model, count=2).numbers() == ([0, 1], None)


def test_a_stream_ends_at_its_deadline(ask):
    deadline = {"corntriton_deadline_ns": time.monotonic_ns() + 300_000_000}
    numbers, error = ask(count=1_000_000, pause_s=0.02, parameters=deadline).numbers()
    assert numbers
    assert error == "component counter: the deadline passed while it was under way"


def test_a_process_that_hangs_in_a_stream_is_replaced(ask):
    deadline = {"corntriton_deadline_ns": time.monotonic_ns() + 100_000_000}
    numbers, error = ask(count=2, pause_s=3600, parameters=deadline).numbers()
    assert numbers == []
    assert error.startswith("component counter: its process ended (ended by the watchdog")
    assert ask(count=2).numbers() == ([0, 1], None)


def test_all_streams_of_a_process_that_dies_end_and_the_next_one_works(ask):
    other = ask(count=1_000_000, pause_s=0.02)
    other.next()
    numbers, error = ask(count=9, die=True).numbers()
    assert numbers == [0, 1, 2]
    assert error == "component counter: its process ended (killed by SIGKILL)"
    assert other.numbers()[1] == error
    assert ask(count=2).numbers() == ([0, 1], None)


def test_a_process_that_is_killed_while_idle_is_replaced(client, ask):
    for child in workers_of("counter", client):
        os.kill(child, signal.SIGKILL)
        wait_for(lambda child=child: is_gone(child))
    assert ask(count=2).numbers() == ([0, 1], None)


def wait_for(condition, timeout_s=10.0):
    until_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until_s, "it did not happen"
        time.sleep(0.02)


def is_gone(pid):
    """It is dead with all its threads: while one is left, nobody can tell, not even its parent."""
    try:
        dead = " Z " in Path(f"/proc/{pid}/stat").read_text()
        return dead and len([*Path(f"/proc/{pid}/task").iterdir()]) <= 1
    except OSError:
        return True


def workers_of(component, client):
    """The worker processes of our own server's stubs; told by the folder they were started for."""
    found = []
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = status.read_bytes().split(b"\0")
        except OSError:
            continue
        folder = str(client.repository / component).encode()
        if command[0].endswith(b"python3") and any(part.startswith(folder) for part in command):
            found.append(int(status.parent.name))
    return found
