"""Ports of a component that wants tensors on its device: what it gets, may give, and what is refused."""

from __future__ import annotations

import gc
import json
import os
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from corntriton.record.codec import path_to_json
from corntriton.record.path import Input, Invocation, Output
from corntriton.record.path import Path as RecordedPath
from corntriton.record.signature import Port, Signature
from corntriton.runtime.answer import Ports
from corntriton.runtime.batch import BatchRunner
from corntriton.runtime.context import Context
from corntriton.runtime.cuda.host import HostMemory, HostTensor
from corntriton.runtime.cuda.memory import DeviceMemory
from corntriton.runtime.cuda.tensor import DeviceTensor
from corntriton.runtime.device_ports import AnyMemory, DevicePorts
from corntriton.runtime.executor import load_executor
from corntriton.runtime.messages import Call, End, Failure, Order, Start
from corntriton.runtime.parcel import pack, unpack
from corntriton.runtime.settings import CALL, PATH, RESULT, ComponentSettings, ExecutorSettings
from corntriton.runtime.shm.owner import OwnedRequest
from corntriton.runtime.shm.ref import HOST, Ref
from corntriton.runtime.shm.regions import DIRECTORY
from tests.runtime.cuda import simulated
from tests.runtime.cuda.world import Process
from tests.runtime.memory import memory

VARIES = Port("FP32", (-1,))
SEEN = Signature({"x": Port("UINT8", (-1,))}, {"n": Port("FP64")})
SIGNATURE = Signature({"x": VARIES}, {"y": VARIES, "ys": Port("FP32", (-1,), optional=True, list=True)})
MB = 1 << 20


@pytest.fixture
def owned() -> Iterator[OwnedRequest]:
    request = memory().owner.enter()
    yield request
    request.end()


@pytest.fixture(params=["cuda:0", "cpu"])
def device(request: pytest.FixtureRequest, driver: Path) -> Iterator[AnyMemory]:
    made = DeviceMemory("cuda:0", memory(), 4 * MB) if request.param == "cuda:0" else HostMemory(memory())
    yield made
    made.close()


@pytest.fixture
def gpu(driver: Path) -> Iterator[DeviceMemory]:
    made = DeviceMemory("cuda:0", memory(), 4 * MB)
    yield made
    made.close()


def run(
    made: AnyMemory, owned: OwnedRequest | None, inputs: Any, component: Any, *wanted: str, **options: Any
) -> Any:
    ports = Ports(SIGNATURE, True, memory(), device=DevicePorts(made, ["x"]), **options)
    call = Call(inputs, frozenset(wanted), None, owned and owned.text)
    return BatchRunner(component, ports, repeatable=True).run([call], bytes(1))[0]


def content(made: AnyMemory, row: np.ndarray) -> list[float]:
    """Of the tensor that a ref names."""
    return made.read(row.tobytes()).numpy().tolist()


def ref_of(array: np.ndarray, owned: OwnedRequest, made: AnyMemory) -> np.ndarray:
    return np.frombuffer(made.put(array, owned.tag), np.uint8)[None]


def test_an_input_is_a_tensor_however_it_came(device: AnyMemory, owned: OwnedRequest) -> None:
    kind = DeviceTensor if isinstance(device, DeviceMemory) else HostTensor
    array, small = np.arange(1000, dtype=np.float32), np.ones(2, np.float32)
    on_host = np.frombuffer(memory().put(array, owned.tag), np.uint8)[None]
    immediate = np.frombuffer(memory().put(small, owned.tag), np.uint8)[None]
    for inputs, given in (
        ({"x": array[None]}, array),
        ({"x__ref": on_host}, array),
        ({"x__ref": immediate}, small),
        ({"x__ref": ref_of(array, owned, device)}, array),
    ):
        seen: list[Any] = []

        def look(items: Any, seen: list[Any] = seen) -> Any:
            seen.append((type(items[0]["x"]), items[0]["x"].numpy()))
            return [{"y": items[0]["x"]}]

        outputs = run(device, owned, inputs, look, "y")
        [(found, values)] = seen
        assert found is kind
        assert np.array_equal(values, given)
        assert np.array_equal(outputs["y"][0], given)


def test_an_output_has_refs_for_each_sort_of_reader(device: AnyMemory, owned: OwnedRequest) -> None:
    def double(items: Any) -> Any:
        made = device.empty((3,), np.float32)
        made.copy_from(items[0]["x"].numpy() * 2)
        return [{"y": made, "ys": [made, items[0]["x"], np.zeros(1, np.float32)]}]

    given = np.array([1, 2, 3], np.float32)
    outputs = run(device, owned, {"x": given[None]}, double, "y__ref", "y__dref", "ys__dref", "ys__ref", "y")
    assert content(device, outputs["y__dref"][0]) == [2, 4, 6]
    assert memory().read(outputs["y__ref"][0].tobytes()).tolist() == [2, 4, 6]
    assert outputs["y"].tolist() == [[2, 4, 6]]
    for name in ("ys__dref", "ys__ref"):
        assert [content(device, row) for row in outputs[name][0]] == [[2, 4, 6], [1, 2, 3], [0]]


def test_only_refs_for_gpus_lie_there(gpu: DeviceMemory, owned: OwnedRequest) -> None:
    component = lambda items: [{"y": items[0]["x"]}]  # noqa: E731
    outputs = run(gpu, owned, {"x": np.ones((1, 99), np.float32)}, component, "y__ref", "y__dref")
    places = {name: Ref.unpack(row[0].tobytes()).device for name, row in outputs.items()}
    assert places == {"y__ref": HOST, "y__dref": gpu.device.number}


@pytest.mark.parametrize(
    ("dtype", "shape", "text"),
    [
        ("float64", (3,), "its output y holds FP64 on a GPU, which is not FP32; To fix: convert it there"),
        ("float32", (3, 1), "its output y has shape [3, 1], but its dims are [-1]"),
    ],
)
def test_what_lies_on_a_gpu_has_to_fit_its_port_as_it_is(
    gpu: DeviceMemory, owned: OwnedRequest, dtype: str, shape: tuple[int, ...], text: str
) -> None:
    component = lambda items: [{"y": gpu.empty(shape, dtype)}]  # noqa: E731
    for wanted in ("y__ref", "y__dref"):
        failure = run(gpu, owned, {"x": np.ones((1, 3), np.float32)}, component, wanted)
        assert (failure.code, failure.text) == ("INTERNAL", text)


def test_a_tensor_on_another_gpu_than_the_component_is_refused(
    gpu: DeviceMemory, owned: OwnedRequest
) -> None:
    other = DeviceMemory("cuda:1", memory(), MB)
    component = lambda items: [{"y": other.empty((3,), np.float32)}]  # noqa: E731
    failure = run(gpu, owned, {"x": np.ones((1, 3), np.float32)}, component, "y__dref")
    assert "its output y cannot pass: a tensor lies on cuda:1" in failure.text
    other.close()


def test_a_tensor_larger_than_the_arena_fails_or_passes_inline(
    gpu: DeviceMemory, owned: OwnedRequest
) -> None:
    component = lambda items: [{"y": np.zeros(2 * MB, np.float32)}]  # noqa: E731
    given = {"x": np.ones((1, 3), np.float32)}
    failure = run(gpu, owned, given, component, "y__dref")
    assert "To fix: raise arena.max_bytes of the model, or arena.device_max_bytes" in failure.text
    assert run(gpu, owned, given, component, "y__dref", "y", spills=True).keys() == {"y"}


@pytest.fixture
def producer(driver: Path) -> Iterator[Process]:
    """Another process, whose arenas lie where those of servers do."""
    environment = simulated.environment(driver, Path(os.environ["SIMULATED_CUDA_DIR"]))
    made = Process(DIRECTORY, MB, "cuda:0", environment)
    yield made
    made.kill()
    made.stop()


@pytest.mark.parametrize("fails", [False, True])
def test_a_call_fails_whose_input_was_lost_while_it_was_computed(
    gpu: DeviceMemory, owned: OwnedRequest, producer: Process, fails: bool
) -> None:
    """Though the component looks at nothing after that: its work on the GPU may come later."""
    packed = bytes.fromhex(producer.ask("put", owned.text, 400, 1, "copy"))

    def work(items: Any) -> Any:
        producer.kill()
        return [{"n": 1 / (not fails)}]

    ports = Ports(SEEN, True, memory(), device=DevicePorts(gpu, ["x"]))
    call = Call({"x__ref": np.frombuffer(packed, np.uint8)[None]}, frozenset({"n"}), None, owned.text)
    [failure] = BatchRunner(work, ports, repeatable=True).run([call], bytes(1))
    assert isinstance(failure, Failure)
    assert (failure.code, failure.text.partition(":")[0]) == ("UNAVAILABLE", "an input was lost")


def test_torch_computes_in_memory_that_is_not_copied(owned: OwnedRequest) -> None:
    made = HostMemory(memory())
    context = Context("c", {}, "cpu", "c_0", {}, memory(), made)
    kept: list[torch.Tensor] = []

    def component(items: Any) -> Any:
        out = torch.from_dlpack(context.empty(5000, "float32", memory="device"))
        kept.append(torch.mul(torch.from_dlpack(items[0]["x"]), 2, out=out))
        return [{"y": kept[0]}]

    given = np.arange(5000, dtype=np.float32)
    outputs = run(made, owned, {"x__ref": ref_of(given, owned, made)}, component, "y__dref")
    read = made.read(outputs["y__dref"][0].tobytes())
    assert np.array_equal(read.numpy(), given * 2)
    kept[0][0] = 77  # what the ref names is this very memory
    assert read.numpy()[0] == 77


def test_memory_on_the_host_is_free_again_when_no_tensor_of_torch_s_needs_it(owned: OwnedRequest) -> None:
    made, before = HostMemory(memory()), memory().arena.usage.used_bytes
    tensor = torch.from_dlpack(made.empty((MB,), np.uint8))
    assert memory().arena.usage.used_bytes >= before + MB
    del tensor
    gc.collect()
    assert memory().arena.usage.used_bytes <= before


def test_only_components_that_declare_it_get_memory_on_their_device() -> None:
    with pytest.raises(ValueError, match=r"no port with memory: device in model.yaml"):
        Context("c", {}, "cuda:0", "c_0", {}, memory()).empty(5, "float32", memory="device")


DOUBLES = """
class Double:
    def load(self, context):
        self.empty = context.empty

    def __call__(self, items):
        return [self.one(item["x"]) for item in items]

    def one(self, tensor):
        made = self.empty(tensor.shape, tensor.dtype, memory="device")
        made.copy_from(tensor.numpy() * 2)
        return {"y": made}
"""


@pytest.mark.parametrize("device", ["cuda:0", "cpu"])
def test_components_that_share_a_process_get_tensors_on_their_device_too(
    driver: Path, tmp_path: Path, device: str
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / f"doubles_{device[:3]}.py").write_text(DOUBLES)
    signature, ports = (
        Signature({"x": VARIES}, {"y": VARIES}),
        {"device_inputs": ["x"], "device_outputs": ["y"]},
    )
    members = {
        name: ComponentSettings(name, "python", f"doubles_{device[:3]}:Double", signature, 1, **ports)
        for name in ("once", "twice")
    }
    ExecutorSettings("e", members, 1, (), MB, MB).save(tmp_path / "executor.json")
    sent: queue.SimpleQueue[Any] = queue.SimpleQueue()
    executor = load_executor(Order(tmp_path, "e_0", device), sent.put, bytearray(1))
    steps = (
        Invocation("once", "once", {"x": Input("x")}),
        Invocation("twice", "twice", {"x": Output("once", "y")}),
    )
    path = json.dumps(path_to_json(RecordedPath((), steps, {"y": Output("twice", "y")}))).encode()
    values = {PATH: np.frombuffer(path, np.uint8), "x": np.arange(5, dtype=np.float32)}
    executor.handle(Start(0, Call({CALL: pack(values)}, frozenset({RESULT}))))
    end = sent.get(timeout=20)
    assert isinstance(end, End)
    assert unpack(end.outputs[RESULT])[0]["y"].tolist() == [0, 4, 8, 12, 16]
    executor.close()
