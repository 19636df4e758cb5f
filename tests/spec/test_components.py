"""Components one by one: what their backends allow, what their files have to be, ports read from ONNX."""

from __future__ import annotations

import zipfile
from pathlib import Path as File
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from corntriton.errors import Problems, UserError
from corntriton.record.signature import Port
from corntriton.spec.components import Component, resolve
from corntriton.spec.files import Document, Spot
from corntriton.spec.model import ComponentSpec

X = {"x": {"dtype": "FP32", "dims": [4]}}
Y = {"y": {"dtype": "FP32", "dims": [2]}}


def resolved(folder: File, **fields: Any) -> tuple[Component | None, list[str]]:
    """The component, and its problems as `$.path: what`."""
    spec = ComponentSpec.model_validate({"kind": "processor", **fields})
    problems = Problems()
    document = Document(str(folder / "model.yaml"), {})
    component = resolve("part", spec, Spot(document, problems, ("components", "part")))
    try:
        problems.raise_if_any()
    except UserError as error:
        return component, [f"{each.path}: {each.what}" for each in error.problems]
    return component, []


def write_onnx(
    file: File, x: list[int | str] | None, y: list[int | str], dtype: int = TensorProto.FLOAT
) -> None:
    shapes = helper.make_tensor_value_info("x", dtype, x), helper.make_tensor_value_info("y", dtype, y)
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [shapes[0]], [shapes[1]])
    onnx.save(helper.make_model(graph), file)


def test_ports_come_from_the_file_without_its_batch_dimension(tmp_path: File) -> None:
    write_onnx(tmp_path / "m.onnx", ["batch", 4, "n"], ["batch", 4, "n"])
    component, problems = resolved(tmp_path, backend="onnxruntime", artifact="m.onnx")
    assert problems == []
    assert component is not None
    assert component.signature.inputs == {"x": Port("FP32", (4, -1))}
    assert component.artifact == str(tmp_path / "m.onnx")


def test_without_batches_ports_have_the_shape_of_the_file(tmp_path: File) -> None:
    write_onnx(tmp_path / "m.onnx", [1, 4], [1, 4], TensorProto.INT64)
    component, problems = resolved(
        tmp_path, backend="onnxruntime", artifact="m.onnx", batching={"max_batch_size": 0}
    )
    assert problems == []
    assert component is not None
    assert component.signature.outputs == {"y": Port("INT64", (1, 4))}


@pytest.mark.parametrize("shape", [[1, 4], [], ["batch"]])
def test_a_file_that_cannot_be_batched_is_reported(shape: list[int | str], tmp_path: File) -> None:
    write_onnx(tmp_path / "m.onnx", shape, shape)
    _, problems = resolved(tmp_path, backend="onnxruntime", artifact="m.onnx")
    assert len(problems) == 1
    assert "$.components.part.batching: port x of the file is" in problems[0]


@pytest.mark.parametrize(
    ("side", "ports", "problem"),
    [
        ("inputs", {"x": {"dtype": "FP16", "dims": [4]}}, "inputs.x.dtype: is FP16, but FP32 in the file"),
        ("inputs", {"x": {"dtype": "FP32", "dims": [5]}}, "inputs.x.dims: is [5], but [4] in the file"),
        ("inputs", {"x": {"dtype": "FP32", "dims": [-1]}}, "inputs.x.dims: is [-1], but [4] in the file"),
        ("inputs", {**X, "z": X["x"]}, "inputs.z: is not a port of the file"),
        ("outputs", {"yy": Y["y"]}, "outputs.yy: is not a port of the file"),
    ],
)
def test_declared_ports_that_contradict_the_file_are_reported(
    side: str, ports: dict[str, Any], problem: str, tmp_path: File
) -> None:
    write_onnx(tmp_path / "m.onnx", ["batch", 4], ["batch", 4])
    _, problems = resolved(tmp_path, backend="onnxruntime", artifact="m.onnx", **{side: ports})
    assert len(problems) == 1
    assert problems[0].startswith(f"$.components.part.{problem}")


def test_an_input_of_the_file_that_is_not_declared_is_reported(tmp_path: File) -> None:
    write_onnx(tmp_path / "m.onnx", ["batch", 4], ["batch", 4])
    _, problems = resolved(tmp_path, backend="onnxruntime", artifact="m.onnx", inputs={"z": X["x"]})
    assert "$.components.part.inputs: leaves out x, which the file needs" in problems


def test_a_file_that_is_no_onnx_is_reported(tmp_path: File) -> None:
    for content in (b"", b"hello", b"\x08\x07" * 30):
        (tmp_path / "m.onnx").write_bytes(content)
        _, problems = resolved(tmp_path, backend="onnxruntime", artifact="m.onnx")
        assert len(problems) == 1
        assert problems[0].startswith("$.components.part.artifact: m.onnx is not an ONNX model")


def test_an_onnx_port_without_a_shape_is_reported(tmp_path: File) -> None:
    write_onnx(tmp_path / "m.onnx", None, ["batch", 4])
    _, problems = resolved(tmp_path, backend="onnxruntime", artifact="m.onnx")
    assert problems == ["$.components.part.artifact: its port x has no declared shape"]


def test_weights_beside_an_onnx_file_are_companions_and_must_exist(tmp_path: File) -> None:
    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in ("x", "y")]
    weights = numpy_helper.from_array(np.ones(4, np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], "g", shapes[:1], shapes[1:], [weights]
    )
    onnx.save(
        helper.make_model(graph),
        tmp_path / "m.onnx",
        save_as_external_data=True,
        location="m.data",
        size_threshold=0,
    )
    component, problems = resolved(tmp_path, backend="onnxruntime", artifact="m.onnx")
    assert problems == []
    assert component is not None
    assert component.companions == (tmp_path / "m.data",)
    (tmp_path / "m.data").unlink()
    _, problems = resolved(tmp_path, backend="onnxruntime", artifact="m.onnx")
    assert "keeps weights in m.data, which is not beside it" in problems[0]


def test_pytorch_wants_torchscript_and_not_a_state_dict(tmp_path: File) -> None:
    for name, member in (("good.pt", "good/code/__torch__.py"), ("bad.pt", "bad/data.pkl")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(member, "")
    fields = {"backend": "pytorch", "inputs": X, "outputs": Y}
    assert resolved(tmp_path, artifact="good.pt", **fields)[1] == []
    assert resolved(tmp_path, artifact="bad.pt", **fields)[1] == [
        "$.components.part.artifact: bad.pt is not a TorchScript file"
    ]


def test_tensorrt_wants_an_engine_a_gpu_and_numbers(tmp_path: File) -> None:
    (tmp_path / "m.plan").touch()
    (tmp_path / "m.pt").touch()
    texts = {"x": {"dtype": "BYTES"}}
    assert resolved(tmp_path, backend="tensorrt", artifact="m.plan", inputs=X, outputs=Y)[1] == []
    _, problems = resolved(
        tmp_path, backend="tensorrt", artifact="m.pt", inputs=texts, outputs=Y, device="cpu"
    )
    places = [problem.partition(": ")[0].removeprefix("$.components.part.") for problem in problems]
    assert places == ["inputs.x.dtype", "device", "artifact"]


def test_vllm_takes_a_folder_with_a_config_or_a_hub_name(tmp_path: File) -> None:
    texts = {"text": {"dtype": "BYTES"}}
    fields = {"backend": "vllm", "inputs": texts, "outputs": texts, "streaming": True}
    (tmp_path / "weights").mkdir()
    assert resolved(tmp_path, artifact="hf:org/model", **fields)[1] == []
    assert (
        "not a folder of weights with a config.json" in resolved(tmp_path, artifact="weights", **fields)[1][0]
    )
    (tmp_path / "weights" / "config.json").write_text("{}")
    assert resolved(tmp_path, artifact="weights", **fields)[1] == []


def test_vllm_has_one_prompt_and_gives_one_text(tmp_path: File) -> None:
    texts = {"a": {"dtype": "BYTES"}, "b": {"dtype": "BYTES"}}
    _, problems = resolved(tmp_path, backend="vllm", artifact="hf:a/b", inputs=texts, outputs={**texts, **X})
    assert [problem.partition(": ")[0] for problem in problems] == [
        "$.components.part.outputs.x.dtype",
        "$.components.part.inputs",
        "$.components.part.outputs",
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [("code", ["x"]), ("files", {"a": "m.plan"}), ("streaming", True), ("stateful", True)],
)
def test_what_only_python_components_have_is_reported_elsewhere(
    field: str, value: Any, tmp_path: File
) -> None:
    (tmp_path / "m.plan").touch()
    _, problems = resolved(
        tmp_path, backend="tensorrt", artifact="m.plan", inputs=X, outputs=Y, **{field: value}
    )
    assert len(problems) == 1
    assert problems[0].startswith(f"$.components.part.{field}: ")


def test_a_python_component_cannot_have_what_numpy_lacks(tmp_path: File) -> None:
    (tmp_path / "parts.py").write_text("class Part:\n    def __call__(self, items): ...\n")
    bf16 = {"x": {"dtype": "BF16"}}
    _, problems = resolved(tmp_path, backend="python", artifact="parts:Part", inputs=bf16, outputs=Y)
    assert problems == ["$.components.part.inputs.x.dtype: is BF16, which numpy does not have"]
