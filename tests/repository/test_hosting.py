"""Which backend runs what; the configs for NVIDIA's image, read back with Triton's protobuf."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corntriton.errors import UserError
from corntriton.repository import pbtxt
from corntriton.repository.manifest import Manifest
from corntriton.runtime.settings import OrchestratorSettings

Build = Callable[..., Manifest]


def add_llm(spec: dict[str, Any], **more: Any) -> None:
    spec["components"]["llm"] = {
        "kind": "llm",
        "backend": "vllm",
        "artifact": "hf:some/model",
        "inputs": {
            "prompt": {"dtype": "BYTES"},
            "pictures": {"dtype": "BYTES", "list": True, "optional": True},
        },
        "outputs": {"answer": {"dtype": "BYTES"}},
        "streaming": True,
        "settings": {"max_model_len": 4096, "sampling": {"max_tokens": 16}},
        "batching": {"max_batch_size": 0},
        **more,
    }


def add_engine(spec: dict[str, Any]) -> None:
    spec["components"]["engine"] = {
        "kind": "encoder",
        "backend": "tensorrt",
        "artifact": "scale.plan",
        "inputs": {"x": {"dtype": "FP16", "dims": [3, 8, 8]}},
        "outputs": {"y": {"dtype": "FP16", "dims": [10]}},
        "batching": {"max_batch_size": 16, "preferred": [8, 16]},
    }


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], Any]:
    def read(model: str) -> Any:
        return pbtxt.parse((tmp_path / "out" / "model_repository" / model / "config.pbtxt").read_text())

    return read


def test_ngc_runs_files_in_their_native_backends(build_studio: Build, config: Callable[[str], Any]) -> None:
    build_studio(backends="ngc")
    scale, shift, double = config("studio__scale"), config("studio__shift"), config("studio__double")
    assert (scale.backend, scale.input[0].name, scale.max_batch_size) == ("onnxruntime", "x", 4)
    assert (shift.backend, shift.input[0].name, shift.output[0].name) == ("pytorch", "INPUT__0", "OUTPUT__0")
    assert not shift.input[0].allow_ragged_batch
    [group] = double.instance_group
    assert (group.kind, [*group.gpus]) == (group.KIND_GPU, [])
    [group] = scale.instance_group
    assert group.kind == group.KIND_CPU


def test_native_models_hold_their_file_and_nothing_of_ours(build_studio: Build, tmp_path: Path) -> None:
    build_studio(backends="ngc")
    folder = tmp_path / "out" / "model_repository" / "studio__shift"
    assert sorted(str(file.relative_to(folder)) for file in folder.rglob("*")) == [
        "1",
        "1/model.pt",
        "config.pbtxt",
    ]


def test_the_orchestrator_knows_the_names_of_native_models(build_studio: Build, tmp_path: Path) -> None:
    build_studio(add_llm, backends="ngc")
    targets = OrchestratorSettings.load(
        tmp_path / "out" / "model_repository" / "studio" / "1" / "orchestrator.json"
    ).targets
    assert targets["shift"].input_names == {"x": "INPUT__0"}
    assert targets["shift"].output_names == {"y": "OUTPUT__0"}
    assert targets["llm"].input_names == {"prompt": "text_input", "pictures": "image"}
    assert targets["llm"].constants == {"stream": True, "sampling_parameters": '{"max_tokens": 16}'}
    assert not targets["llm"].batched


def test_vllm_gets_its_engine_arguments_and_streams(
    build_studio: Build, config: Callable[[str], Any], tmp_path: Path
) -> None:
    build_studio(add_llm, backends="ngc")
    llm = config("studio__llm")
    assert (llm.backend, llm.max_batch_size) == ("vllm", 0)
    assert llm.model_transaction_policy.decoupled
    assert {tensor.name: [*tensor.dims] for tensor in llm.input} == {
        "text_input": [1],
        "image": [-1, 1],
        "stream": [1],
        "sampling_parameters": [1],
    }
    assert [*llm.input[1].reshape.shape] == [-1]
    folder = tmp_path / "out" / "model_repository" / "studio__llm" / "1"
    assert json.loads((folder / "model.json").read_text()) == {"model": "some/model", "max_model_len": 4096}


def test_a_vllm_engine_over_several_gpus_is_not_pinned_to_one(
    build_studio: Build, config: Callable[[str], Any]
) -> None:
    build_studio(lambda spec: add_llm(spec, settings={"tensor_parallel_size": 2}), backends="ngc")
    [group] = config("studio__llm").instance_group
    assert group.kind == group.KIND_MODEL


def test_weights_of_vllm_travel_with_the_repository(build_studio: Build, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "config.json").write_text("{}")
    build_studio(lambda spec: add_llm(spec, artifact=str(weights)), backends="ngc")
    folder = tmp_path / "out" / "model_repository" / "studio__llm" / "1"
    assert (folder / "files" / "weights" / "config.json").is_file()
    model = json.loads((folder / "model.json").read_text())["model"]
    assert model == "/models/studio__llm/1/files/weights"


def test_an_engine_is_served_by_tensorrt(
    write_studio: Callable[..., Path], config: Callable[[str], Any], tmp_path: Path
) -> None:
    from corntriton.repository.build import build
    from corntriton.spec.load import load_models

    folder = write_studio(tmp_path / "studio", add_engine)
    (folder / "scale.plan").write_bytes(b"engine")
    build(load_models([folder]), tmp_path / "out", "ngc")
    engine = config("studio__engine")
    assert (engine.backend, engine.default_model_filename) == ("tensorrt", "")
    assert [*engine.dynamic_batching.preferred_batch_size] == [8, 16]
    [group] = engine.instance_group
    assert group.kind == group.KIND_GPU


def test_what_the_embedded_server_cannot_run_is_said_with_what_to_do(
    write_studio: Callable[..., Path], tmp_path: Path
) -> None:
    from corntriton.repository.build import build
    from corntriton.spec.load import load_models

    folder = write_studio(tmp_path / "studio", lambda spec: (add_llm(spec), add_engine(spec)))
    (folder / "scale.plan").write_bytes(b"engine")
    with pytest.raises(UserError) as caught:
        build(load_models([folder]), tmp_path / "out")
    assert [problem.path for problem in caught.value.problems] == [
        "$.components.engine.backend",
        "$.components.llm.backend",
    ]
    assert all("--backends ngc" in problem.fix for problem in caught.value.problems)


def test_bf16_needs_a_native_backend(build_studio: Build) -> None:
    def add(spec: dict[str, Any]) -> None:
        port = {"dtype": "BF16", "dims": [-1]}
        shift = spec["components"]["shift"]
        spec["components"]["half"] = {**shift, "inputs": {"x": port}, "outputs": {"y": port}}

    with pytest.raises(UserError, match=r"half.backend: is pytorch with BF16 tensors"):
        build_studio(add)


def test_vllm_must_be_declared_as_streaming(build_studio: Build) -> None:
    with pytest.raises(UserError, match=r"\$.components.llm.streaming: is false, but"):
        build_studio(lambda spec: add_llm(spec, streaming=False), backends="ngc")
