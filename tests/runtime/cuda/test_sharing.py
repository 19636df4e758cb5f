"""Who can read on the device, and what happens where somebody cannot; each driver's fault is injected.

CUresult: https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TYPES.html
"""

import numpy as np
import pytest

from corntriton.runtime.cuda.errors import DeviceError, UnreachableError
from corntriton.runtime.cuda.memory import DeviceMemory
from corntriton.runtime.shm.errors import ArenaFullError, InvalidRefError
from corntriton.runtime.shm.ref import HOST, Ref
from tests.runtime.cuda import simulated
from tests.runtime.cuda.outside import Outsider
from tests.runtime.cuda.world import MB

_NOT_SUPPORTED = 801
OPENERS = [f"cuIpcOpenMemHandle={_NOT_SUPPORTED}", f"cuIpcOpenEventHandle={_NOT_SUPPORTED}"]


def _device(ref: str) -> int:
    return Ref.unpack(bytes.fromhex(ref)).device


def test_each_arena_is_opened_once_and_nothing_waits_for_a_whole_device(world):
    producer, consumer, request = world.process(), world.process(), world.shared.owner.enter()
    for fill in range(20):
        ref = producer.ask("put", request.text, 1000, fill, "copy")
        assert consumer.ask("read", ref, fill) == "right"
    assert consumer.ask("calls", "cuIpcOpenMemHandle") == 1
    assert [process.ask("calls", "cuCtxSynchronize") for process in (producer, consumer)] == [0, 0]


def test_nothing_is_opened_for_forged_refs(world, driver):
    producer, request = world.process(), world.shared.owner.enter()
    ref = Ref.unpack(bytes.fromhex(producer.ask("put", request.text, 1000, 1, "copy")))
    before = simulated.calls(driver, "cuIpcOpenMemHandle")
    for changed in ({"nonce": (1, 2)}, {"generation": 9}, {"slot": 3}, {"offset": 1024}, {"device": 5}):
        with pytest.raises(InvalidRefError):
            world.memory.read(ref._replace(**changed).pack())
    assert simulated.calls(driver, "cuIpcOpenMemHandle") == before
    assert world.memory.read(ref.pack()).shape == (1000,)
    assert simulated.calls(driver, "cuIpcOpenMemHandle") == before + 1


def test_what_was_opened_is_closed_when_its_process_has_gone(world, driver):
    before = simulated.calls(driver, "cuIpcCloseMemHandle")
    for fill in (1, 2, 3):
        producer, request = world.process(), world.shared.owner.enter()
        ref = bytes.fromhex(producer.ask("put", request.text, 1000, fill, "copy"))
        assert set(world.memory.read(ref).numpy()) == {fill}
        request.end()
        producer.stop()
    assert simulated.calls(driver, "cuIpcCloseMemHandle") == before + 2  # the last one is looked for no more


@pytest.mark.parametrize("function", ["cuIpcGetMemHandle", "cuIpcGetEventHandle"])
def test_where_the_driver_does_not_share_tensors_go_by_the_host(world, function):
    producer = world.process(SIMULATED_CUDA_FAIL=f"{function}={_NOT_SUPPORTED}")
    consumer, request = world.process(), world.shared.owner.enter()
    assert not producer.ask("shares")
    for fill, how in enumerate(["numpy", "copy", "in place"], start=1):
        ref = producer.ask("put", request.text, 1000, fill, how, True)
        assert _device(ref) == HOST
        assert consumer.ask("read", ref, fill) == "right"
        assert set(world.shared.reader.read(bytes.fromhex(ref))) == {fill}
    request.end()
    assert (producer.ask("used"), consumer.ask("used")) == (0, 0)


@pytest.mark.parametrize("environment", [{"SIMULATED_CUDA_FAIL": fault} for fault in OPENERS])
def test_after_one_reader_could_not_open_it_tensors_go_by_the_host(world, environment):
    producer, good, bad = world.process(), world.process(), world.process(**environment)
    request = world.shared.owner.enter()
    ref = producer.ask("put", request.text, 1000, 1, "copy")
    assert good.ask("read", ref, 1) == "right"
    assert bad.ask("read", ref, 1) == "unreachable"
    assert not producer.ask("shares")
    next_ = producer.ask("put", request.text, 1000, 2, "in place")
    assert _device(next_) == HOST
    assert [reader.ask("read", next_, 2) for reader in (good, bad)] == ["right", "right"]
    assert good.ask("read", ref, 1) == "right"
    request.end()
    assert producer.ask("used") == 0


def test_a_reader_that_does_not_see_the_device_gets_tensors_by_the_host(world):
    producer, request = world.process(), world.shared.owner.enter()
    consumer = world.process(CUDA_VISIBLE_DEVICES="1")
    assert consumer.ask("read", producer.ask("put", request.text, 1000, 1, "copy"), 1) == "unreachable"
    assert consumer.ask("calls", "cuIpcOpenMemHandle") == 0
    assert consumer.ask("read", producer.ask("put", request.text, 1000, 2, "copy"), 2) == "right"


def test_devices_are_told_apart_whatever_each_process_calls_them(world):
    """cuda:0 of one process is cuda:1 of the other."""
    request = world.shared.owner.enter()
    swapped = world.process(CUDA_VISIBLE_DEVICES="1,0")
    same = world.process(device="cuda:1", CUDA_VISIBLE_DEVICES="1,0", SIMULATED_CUDA_PEERS="0")
    packed = world.memory.put(np.full(1000, 3, np.uint8), request.tag)
    assert same.ask("read", packed.hex(), 3) == "right"
    refs = [process.ask("put", request.text, 1000, 4, "copy") for process in (swapped, same)]
    assert [_device(ref) == world.memory.device.number for ref in refs] == [False, True]


def test_without_peer_access_tensors_go_by_the_host(world, second_gpu):
    consumer, request = world.process(device=second_gpu, SIMULATED_CUDA_PEERS="0"), world.shared.owner.enter()
    packed = world.memory.put(np.full(1000, 1, np.uint8), request.tag)
    assert consumer.ask("read", packed.hex(), 1) == "unreachable"
    packed = world.memory.put(np.full(1000, 1, np.uint8), request.tag)
    assert Ref.unpack(packed).device == HOST
    assert consumer.ask("read", packed.hex(), 1) == "right"


def test_another_gpus_memory_of_the_same_process_goes_by_the_host(world, second_gpu):
    other, request = DeviceMemory(second_gpu, world.shared, MB), world.shared.owner.enter()
    packed = world.memory.put(np.full(1000, 1, np.uint8), request.tag)
    with pytest.raises(UnreachableError):
        other.read(packed)
    packed = world.memory.put(np.full(1000, 1, np.uint8), request.tag)
    assert set(other.read(packed).numpy()) == {1}
    other.close()


def test_processes_on_one_gpu_have_its_memory_between_them(world):
    with pytest.raises(RuntimeError, match="does not start"):
        world.process(max_bytes=400 * MB)
    large = world.process(max_bytes=200 * MB)
    with pytest.raises(ArenaFullError, match=r"Simulated GPU 0, 0\.\d of 0\.2 GiB free"):
        DeviceMemory("cuda:0", world.shared, 100 * MB)
    large.kill()
    DeviceMemory("cuda:0", world.shared, 100 * MB).close()


@pytest.mark.parametrize("function", ["cuMemAlloc", "cuStreamCreate", "cuDevicePrimaryCtxRetain"])
def test_what_the_driver_refuses_is_an_error_that_names_it(world, monkeypatch, function):
    names = {*world.directory.iterdir()}
    monkeypatch.setenv("SIMULATED_CUDA_FAIL", f"{function}=999")
    with pytest.raises(DeviceError, match=rf"{function} failed with CUDA_ERROR_UNKNOWN \(999\)"):
        DeviceMemory("cuda:0", world.shared, MB)
    assert {*world.directory.iterdir()} == names


@pytest.mark.parametrize("function", ["cuMemcpyDtoDAsync", "cuEventRecord", "cuMemcpyHtoDAsync"])
def test_a_put_that_the_driver_refuses_takes_no_memory(world, monkeypatch, function):
    tag, stream = world.shared.owner.enter().tag, world.stream()
    source = Outsider(stream, 1000)
    monkeypatch.setenv("SIMULATED_CUDA_FAIL", f"{function}=999")
    with pytest.raises(DeviceError):
        world.memory.put(source if function == "cuMemcpyDtoDAsync" else np.ones(10), tag)
    monkeypatch.delenv("SIMULATED_CUDA_FAIL")
    assert world.memory.usage.used_bytes == 0
    assert set(world.memory.read(world.memory.put(np.ones(10), tag)).numpy()) == {1}
    source.close()
