from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import corntriton
from corntriton.record.signature import Port, Signature
from corntriton.runtime.keeper import Died, Keeper
from corntriton.runtime.messages import Batch, Call, Loaded, Order, Results
from corntriton.runtime.process import WorkerProcess
from corntriton.runtime.settings import ComponentSettings

PORTS = Signature({"x": Port("FP32")}, {"y": Port("INT64")})


@pytest.fixture
def note(tmp_path):
    (tmp_path / "note").write_text("there")
    return tmp_path / "note"


@pytest.fixture
def order(write_repository, note):
    settings = ComponentSettings("fragile", "python", "parts:Fragile", PORTS, 1, settings={"note": str(note)})
    return Order(write_repository(settings) / "fragile" / "1", "fragile_0_0", "cpu")


@pytest.fixture
def keeper(order):
    keeper = Keeper(lambda: WorkerProcess(order, 1))
    step_until(keeper, lambda: keeper.loaded.is_set())
    yield keeper
    keeper.stop()


def step_until(keeper, condition):
    until_s = time.monotonic() + 20
    messages = []
    while not condition():
        assert time.monotonic() < until_s, "it did not happen"
        messages.append(keeper.step(0.1))
    return [message for message in messages if message is not None]


def batch(x=1.0, deadline_ns=None):
    return Batch([Call({"x": np.array([[x]], np.float32)}, frozenset("y"), deadline_ns)])


def pid_of(keeper):
    keeper.worker.send(batch())
    message = keeper.step(20)
    assert isinstance(message, Results)
    return int(message.results[0]["y"][0, 0])


def is_gone(pid):
    return not Path(f"/proc/{pid}").exists()


def test_a_worker_that_is_stopped_unloads_and_is_gone(order, note):
    worker = WorkerProcess(order, 1)
    assert worker.receive(20) == Loaded()
    worker.stop()
    assert worker.ended
    assert not note.exists()


def test_a_worker_that_is_ended_leaves_its_stacks_in_the_log(order, capfd):
    worker = WorkerProcess(order, 1)
    assert worker.receive(20) == Loaded()
    worker.send(batch(-4))
    time.sleep(0.2)
    worker.end("enough")
    with pytest.raises(EOFError):
        worker.receive(20)
    assert worker.bury() == "enough"
    assert "parts.py" in capfd.readouterr().err


def test_a_worker_that_died_is_replaced(keeper):
    pid = pid_of(keeper)
    keeper.worker.end("enough")
    assert step_until(keeper, lambda: not keeper.loaded.is_set()) == [Died("enough")]
    assert keeper.refusal(batch().calls) is None
    step_until(keeper, keeper.loaded.is_set)
    assert pid_of(keeper) != pid


def test_who_waits_for_a_replacement_waits_until_the_deadline_only(keeper):
    keeper.worker.end("enough")
    keeper.step(20)
    assert "being replaced" in keeper.refusal(batch(deadline_ns=time.monotonic_ns() - 1).calls).text


def test_a_replacement_that_does_not_load_is_tried_again_later(keeper, note):
    note.unlink()
    keeper.worker.end("enough")
    step_until(keeper, lambda: keeper.load_failure is not None)
    text = keeper.refusal(batch().calls).text
    assert text.startswith("its process ended, and a new one does not load: FileNotFoundError: ")
    note.write_text("there again")
    step_until(keeper, keeper.loaded.is_set)
    assert keeper.load_failure is None
    assert pid_of(keeper)


def test_a_worker_does_not_outlive_its_host(order):
    code = (
        "import os; from pathlib import Path; from corntriton.runtime.process import WorkerProcess;"
        "from corntriton.runtime.messages import Order;"
        f"worker = WorkerProcess(Order(Path({str(order.folder)!r}), 'a', 'cpu'), 1); worker.receive(20);"
        "print(worker._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    folder = Path(corntriton.__file__).parent.parent
    host = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    until_s = time.monotonic() + 10
    while not is_gone(int(host.stdout)):
        assert time.monotonic() < until_s
        time.sleep(0.02)
