"""Checks with the libraries that components use; each where the library is there and sees a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.runtime.cuda.world import World


class NotHereError(Exception):
    """What a check needs is not there."""


def test_torch_sees_what_another_process_put(world: World) -> None:
    torch, request = _torch(), world.shared.owner.enter()
    producer = world.process()
    for fill, how in enumerate(["in place", "copy", "numpy"], start=1):
        ref = producer.ask("put", request.text, 100_000, fill, how, True)
        tensor = torch.from_dlpack(world.memory.read(bytes.fromhex(ref)))
        assert tensor.device.type == "cuda"
        assert bool((tensor == fill).all())


def test_what_torch_computes_is_read_by_another_process(world: World) -> None:
    torch, request = _torch(), world.shared.owner.enter()
    consumer = world.process()
    for fill in range(1, 6):
        slow = torch.randn(4096, 4096, device="cuda:0")
        for _ in range(20):
            slow = slow @ slow.T / 4096
        tensor = torch.full((100_000,), fill, dtype=torch.uint8, device="cuda:0")
        tensor += (slow.sum() * 0).nan_to_num().to(torch.uint8)
        packed = world.memory.put(tensor, request.tag)
        del tensor, slow
        torch.full((100_000,), 255, dtype=torch.uint8, device="cuda:0")  # where torch uses memory again
        assert consumer.ask("read", packed.hex(), fill) == "right"


def test_torch_computes_into_memory_that_was_asked_for(world: World) -> None:
    torch, request = _torch(), world.shared.owner.enter()
    consumer = world.process()
    made = torch.from_dlpack(world.memory.empty((1000, 100), np.uint8))
    made.fill_(7)
    packed = world.memory.put(made, request.tag)
    assert world.memory.read(packed).pointer == made.data_ptr()
    assert consumer.ask("read", packed.hex(), 7) == "right"


def test_torch_tensors_with_gaps_and_with_gradients_are_put_too(world: World) -> None:
    torch, request = _torch(), world.shared.owner.enter()
    tensor = torch.arange(12.0, device="cuda:0", requires_grad=True).reshape(3, 4).t()
    read = world.memory.read(world.memory.put(tensor, request.tag))
    assert (read.numpy() == tensor.detach().cpu().numpy()).all()


def test_torch_holds_what_it_was_given(world: World) -> None:
    torch, request = _torch(), world.shared.owner.enter()
    packed = world.memory.put(np.ones(1000, np.float32), request.tag)
    part = torch.from_dlpack(world.memory.read(packed))[10:]
    request.end()
    assert world.memory.usage.used_bytes > 0
    assert float(part.sum()) == 990


def test_onnxruntime_runs_on_views_by_io_binding(world: World) -> None:
    session = _identity_session()
    packed = world.memory.put(np.arange(1000, dtype=np.float32), world.shared.owner.enter().tag)
    view = world.memory.read(packed)
    out = world.memory.empty(view.shape, view.dtype)
    binding, ordinal = session.io_binding(), view.device.ordinal
    for tensor in (view, out):
        tensor.wait()
    binding.bind_input("x", "cuda", ordinal, view.dtype, view.shape, view.pointer)
    binding.bind_output("y", "cuda", ordinal, out.dtype, out.shape, out.pointer)
    session.run_with_iobinding(binding)
    assert (out.numpy() == np.arange(1000)).all()


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise NotHereError("torch is not installed") from None
    if not torch.cuda.is_available():
        raise NotHereError("torch sees no GPU")
    return torch


def _identity_session() -> Any:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise NotHereError(str(error)) from None
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise NotHereError("this onnxruntime is built without CUDA")
    ports = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1000]) for name in "xy"]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])], "g", ports[:1], ports[1:]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CUDAExecutionProvider"])
