from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as http_client
from tritonclient.utils import InferenceServerException

from corntriton.record.signature import Port, Signature
from corntriton.runtime.settings import ComponentSettings

pytestmark = pytest.mark.server

NUMBERS = Port("FP32", (-1,))
TEXT = Port("BYTES", (1,))
PROBE = Signature(
    {"x": NUMBERS}, {"y": NUMBERS, "n_items": Port("INT32", (1,), optional=True), "pid": Port("INT64", (1,))}
)
ECHO = Signature(
    {"names": Port("BYTES", (1,), list=True), "note": Port("BYTES", (1,), optional=True)},
    {"said": TEXT, "kinds": Port("BYTES", (-1,)), "all": Port("BYTES", (1,), list=True)},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("notes")


@pytest.fixture(scope="module")
def client(serve, folder):
    (folder / "greeting.txt").write_text("hello")
    note = {"note": str(folder / "note")}
    return serve(
        ComponentSettings("probe", "python", "parts:Probe", PROBE, 8, settings=note, watchdog_s=0.2),
        ComponentSettings("careful", "python", "parts:Probe", PROBE, 8, idempotent=False),
        ComponentSettings("lone", "python", "parts:Probe", PROBE, 0),
        ComponentSettings("echo", "python", "parts:Echo", ECHO, 4, files={"greeting": "greeting.txt"}),
        ComponentSettings(
            "sum",
            "python",
            "parts:Sum",
            Signature({"x": NUMBERS}, {"total": Port("FP32")}),
            4,
            stateful=True,
        ),
        files={"greeting.txt": folder / "greeting.txt"},
    )


def numbers(*rows):
    return {"x": np.array(rows, np.float32)}


def texts(*elements):
    return np.array(elements, object)


def in_s(seconds):
    return {"corntriton_deadline_ns": time.monotonic_ns() + int(seconds * 1e9)}


def pid_of(client, model="probe"):
    return int(client.ask(model, numbers([1]))["pid"][0, 0])


def ask_at_once(client, model, orders, **request):
    """Sends them while the component is busy, so that they arrive as one batch."""
    with ThreadPoolExecutor(len(orders) + 1) as pool:
        busy = pool.submit(client.ask, model, numbers([-5]))
        time.sleep(0.2)
        futures = [pool.submit(client.ask, model, numbers(order), **request) for order in orders]
        busy.result()
        return [future.exception() or future.result() for future in futures]


def test_a_request_with_several_rows_gives_as_many_items_and_one_answer(client):
    answer = client.ask("probe", numbers([1, 2], [3, 4], [5, 6]))
    assert answer["y"].tolist() == [[2, 4], [6, 8], [10, 12]]
    assert answer["n_items"].tolist() == [[3], [3], [3]]


def test_differently_shaped_requests_are_computed_in_one_batch(client):
    answers = ask_at_once(client, "probe", [[1.0] * n for n in (1, 2, 3, 4)])
    assert [answer["y"].shape for answer in answers] == [(1, 1), (1, 2), (1, 3), (1, 4)]
    assert {int(answer["n_items"][0, 0]) for answer in answers} == {4}


def test_a_model_without_batch_dimension_gives_one_item(client):
    assert client.ask("lone", {"x": np.array([1, 2], np.float32)})["y"].tolist() == [2, 4]


def test_only_requested_outputs_are_answered(client):
    assert set(client.ask("probe", numbers([1]), outputs=["y"])) == {"y"}


def test_texts_lists_files_and_absent_optional_inputs_reach_the_component(client):
    answer = client.ask("echo", {"names": texts(b"Ada", b"Bob").reshape(1, 2, 1)})
    assert answer["said"].tolist() == [[b"hello Ada+Bob"]]
    assert answer["kinds"].tolist() == [[b"names"]]
    assert answer["all"].tolist() == [[[b"names"]]]
    answer = client.ask("echo", {"names": texts(b"Cy").reshape(1, 1, 1), "note": texts(b"n").reshape(1, 1)})
    assert answer["kinds"].tolist() == [[b"names", b"note"]]
    wait_for(lambda: "greets with hello" in client.log())


def test_an_empty_list_reaches_the_component(client):
    answer = client.ask("echo", {"names": np.empty((1, 0, 1), object)})
    assert answer["said"].tolist() == [[b"hello "]]


def test_a_sequence_is_told_apart_and_ends(client):
    def add(value, identity, **flags):
        answer = client.ask("sum", numbers([value]), sequence_id=identity, **flags)
        return float(answer["total"][0, 0])

    assert add(1, 7, sequence_start=True) == 1
    assert add(10, 8, sequence_start=True) == 10
    assert add(2, 7) == 3
    assert add(5, 7, sequence_end=True) == 8
    assert add(1, 7, sequence_start=True) == 1


def test_an_item_that_is_an_exception_fails_its_own_request_only(client):
    good, bad = ask_at_once(client, "probe", [[1], [-2]])
    assert good["y"].tolist() == [[2]]
    assert bad.message() == "component probe: KeyError: 'minus two'"
    assert bad.status() == "StatusCode.INTERNAL"


def test_a_call_that_raises_fails_only_the_request_that_caused_it(client):
    good, bad, other = ask_at_once(client, "probe", [[1], [-1], [3]])
    assert bad.message() == "component probe: ValueError: minus one"
    assert (good["y"].tolist(), other["y"].tolist()) == ([[2]], [[6]])
    wait_for(lambda: "in one\n    raise ValueError" in client.log())  # the server writes it when it can


def test_a_component_can_say_that_the_request_is_to_blame(client):
    (refused,) = ask_at_once(client, "probe", [[-10]])
    assert refused.message() == "component probe: invalid request: minus ten is out of range"
    assert refused.status() == "StatusCode.INVALID_ARGUMENT"


def test_a_call_that_raises_is_not_repeated_if_the_component_is_not_idempotent(client):
    first, second = ask_at_once(client, "careful", [[1], [-1]])
    assert first.message() == second.message() == "component careful: ValueError: minus one"


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (-6, "its output y holds <U7, which is not FP32 and cannot become it without loss"),
        (-7, "it returned no "),
        (-8, "its output y has shape [2, 2], but its dims are [-1]"),
    ],
)
def test_results_that_do_not_fit_are_named(client, order, message):
    with pytest.raises(InferenceServerException, match="component probe: ") as caught:
        client.ask("probe", numbers([order]))
    assert message in caught.value.message()


def test_a_required_input_that_is_missing_is_the_callers_fault(client):
    with pytest.raises(InferenceServerException) as caught:
        client.ask("echo", {"note": texts(b"n").reshape(1, 1)})
    # The server itself refuses what its config does not call optional.
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


@pytest.mark.parametrize("late", [in_s(-1), {"corntriton_timeout_us": 0}, {"corntriton_timeout_us": -5}])
def test_what_has_passed_its_deadline_is_not_computed(late, client):
    with pytest.raises(InferenceServerException, match="the deadline passed before it") as caught:
        client.ask("probe", numbers([1]), parameters=late)
    assert caught.value.status() == "StatusCode.UNAVAILABLE"


@pytest.mark.parametrize("time_us", [60_000_000, 2**62, "soon"])
def test_a_call_from_another_server_says_how_long_it_may_take(time_us, client):
    client.ask("probe", numbers([1]), parameters={"corntriton_timeout_us": time_us})


def test_a_process_that_hangs_past_the_deadline_is_replaced_and_its_neighbours_go_on(client):
    before = pid_of(client)
    with ThreadPoolExecutor(2) as pool:
        hung = pool.submit(client.ask, "probe", numbers([-4]), parameters=in_s(0.3))
        time.sleep(0.2)
        queued = pool.submit(client.ask, "probe", numbers([1]))
        with pytest.raises(InferenceServerException, match="its process ended") as caught:
            hung.result()
        assert queued.result()["y"].tolist() == [[2]]
    assert "component probe: its process ended (ended by the watchdog" in caught.value.message()
    assert caught.value.status() == "StatusCode.UNAVAILABLE"
    assert pid_of(client) != before
    wait_for(lambda: "parts.py" in client.log())  # the stack of the thread that hung
    assert not is_alive(before)


def test_work_without_a_deadline_is_left_alone(client):
    before = pid_of(client)
    assert client.ask("probe", numbers([-5]))["pid"][0, 0] == before


def test_a_process_that_dies_at_work_is_replaced(client):
    before = pid_of(client)
    with pytest.raises(InferenceServerException) as caught:
        client.ask("probe", numbers([-3]))
    assert caught.value.message() == "component probe: its process ended (killed by SIGKILL)"
    assert pid_of(client) != before


def is_dead(pid):
    """Nothing is left of it but its entry: its last thread has closed its files."""
    folder = Path(f"/proc/{pid}")
    return " Z " in (folder / "stat").read_text() and len([*(folder / "task").iterdir()]) == 1


def test_a_process_that_is_killed_while_idle_is_replaced_without_an_error(client):
    before = pid_of(client)
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: is_dead(before))
    assert pid_of(client) != before


def test_a_cancelled_client_is_noticed(client, folder):
    asked = client.grpc.async_infer("probe", tensors_of(-9), lambda result, error: None)
    time.sleep(0.3)
    asked.cancel()
    wait_for(lambda: (folder / "note").exists())
    assert pid_of(client) > 0


def test_http_answers_the_same(client):
    http = http_client.InferenceServerClient(client.server.http_url)
    given = http_client.InferInput("x", [1, 2], "FP32")
    given.set_data_from_numpy(np.array([[1, 2]], np.float32))
    assert http.infer("probe", [given]).as_numpy("y").tolist() == [[2, 4]]


def test_a_large_tensor_survives_the_way(client):
    x = np.random.default_rng(0).random((2, 500_000), np.float32)
    assert (client.ask("probe", {"x": x + 1})["y"] == (x + 1) * 2).all()


def test_many_clients_get_their_own_answers(client):
    def ask(value):
        return float(client.ask("probe", numbers([value]))["y"][0, 0])

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(200))) == [2.0 * value for value in range(200)]


def tensors_of(order):
    import tritonclient.grpc as grpc_client

    given = grpc_client.InferInput("x", [1, 1], "FP32")
    given.set_data_from_numpy(np.array([[order]], np.float32))
    return [given]


def is_alive(pid):
    return Path(f"/proc/{pid}").exists()


def wait_for(condition, timeout_s=10.0):
    until_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until_s, "it did not happen"
        time.sleep(0.02)
