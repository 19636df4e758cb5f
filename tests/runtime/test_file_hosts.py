from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from corntriton.record.signature import Port, Signature
from corntriton.runtime.settings import ComponentSettings

pytestmark = pytest.mark.server

ADD = Signature({"a": Port("FP32", (-1,)), "b": Port("FP32", (-1,))}, {"sum": Port("FP32", (-1,))})
SPLIT = Signature({"x": Port("FP32", (4,))}, {"head": Port("FP32", (2,)), "tail": Port("FP32", (2,))})


class Split(torch.nn.Module):
    def forward(self, x):
        return x[..., :2] * 2, x[..., 2:]


class Named(torch.nn.Module):
    def forward(self, x):
        return {"tail": x[..., 2:], "head": x[..., :2] * 2}


def save_sum(file, dims):
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name in ("a", "b", "sum")]
    node = helper.make_node("Add", ["a", "b"], ["sum"])
    graph = helper.make_graph([node], "sum", tensors[:2], tensors[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, file)


@pytest.fixture(scope="module")
def client(serve, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    save_sum(folder / "batched.onnx", ["n", "m"])
    save_sum(folder / "single.onnx", ["m"])
    torch.jit.script(Split()).save(folder / "split.pt")
    torch.jit.script(Named()).save(folder / "named.pt")
    threads = {"intra_op_num_threads": 1}
    return serve(
        ComponentSettings("batched", "onnxruntime", "batched.onnx", ADD, 4, settings=threads),
        ComponentSettings("single", "onnxruntime", "single.onnx", ADD, 4, settings=threads),
        ComponentSettings("whole", "onnxruntime", "single.onnx", ADD, 0, settings=threads),
        ComponentSettings("split", "torch", "split.pt", SPLIT, 4, settings=threads),
        ComponentSettings("named", "torch", "named.pt", SPLIT, 0, settings=threads),
        files={file.name: file for file in folder.iterdir()},
    )


def pair(*rows):
    a = np.array(rows, np.float32)
    return {"a": a, "b": a * 10}


@pytest.mark.parametrize("model", ["batched", "single"])
def test_an_onnx_file_answers_each_row_with_or_without_a_batch_dimension(client, model):
    assert client.ask(model, pair([1, 2], [3, 4]))["sum"].tolist() == [[11, 22], [33, 44]]


def test_an_onnx_file_answers_requests_without_a_batch_dimension(client):
    assert client.ask("whole", pair(1, 2))["sum"].tolist() == [11, 22]


def test_a_torchscript_file_answers_with_its_outputs_in_declared_order(client):
    answer = client.ask("split", {"x": np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)})
    assert answer["head"].tolist() == [[2, 4], [10, 12]]
    assert answer["tail"].tolist() == [[3, 4], [7, 8]]


def test_a_torchscript_file_may_name_its_outputs(client):
    answer = client.ask("named", {"x": np.array([1, 2, 3, 4], np.float32)})
    assert (answer["head"].tolist(), answer["tail"].tolist()) == ([2, 4], [3, 4])


def test_what_the_file_refuses_fails_that_request_with_its_reason(client):
    with pytest.raises(Exception, match="component batched: "):
        client.ask("batched", {"a": np.ones((1, 2), np.float32), "b": np.ones((1, 3), np.float32)})
    assert client.ask("batched", pair([1]))["sum"].tolist() == [[11]]
