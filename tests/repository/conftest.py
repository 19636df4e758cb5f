"""A small model with every sort of component, written fresh for each test that spoils or builds it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
import yaml
from onnx import TensorProto, helper

from corntriton.repository.build import build
from corntriton.repository.manifest import Manifest
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server
from corntriton.spec.load import load_models

FLOW = """
from corntriton import flow

@flow
def studio(request, c):
    answer = {}
    if request.wants("numbers"):
        doubled = c.double(x=request["x"])
        answer["numbers"] = c.shift(x=c.scale(x=doubled.y).y).y
        answer["together"] = doubled.together
    if request.wants("song"):
        answer["song"] = c.sing(text=c.speak(text=request["text"]).text.chunks("sentence")).pcm
    return answer
"""
PARTS = """
import time
import numpy as np

class Double:
    def load(self, context):
        self.wait_s = float(context.file("wait").read_text())

    def __call__(self, items):
        time.sleep(self.wait_s)
        return [{"y": item["x"] * 2, "together": len(items)} for item in items]

class Speak:
    def load(self, context):
        self.stop = context.settings["stop"]

    def stream(self, item):
        for word in item["text"][0].decode().split():
            yield {"text": word + self.stop + " "}

class Sing:
    def load(self, context):
        self.sung = {}

    def stream(self, item):
        yield {"pcm": np.full(len(item["text"][0].decode().strip()), 1.0, np.float32)}
"""
VECTOR = {"dtype": "FP32", "dims": [-1]}
TEXT = {"dtype": "BYTES"}
STUDIO: dict[str, Any] = {
    "model": "studio",
    "flow": "flow.py:studio",
    "inputs": {"x": {**VECTOR, "optional": True}, "text": {**TEXT, "optional": True}},
    "outputs": {
        "numbers": {**VECTOR, "optional": True},
        "together": {"dtype": "INT32", "optional": True},
        "song": {**VECTOR, "optional": True},
    },
    "request_types": {
        "numbers": {"inputs": {"x": {}}, "outputs": ["numbers"]},
        "song": {"inputs": {"text": {}}, "outputs": ["song"]},
    },
    "components": {
        "double": {
            "kind": "processor",
            "backend": "python",
            "artifact": "parts:Double",
            "inputs": {"x": VECTOR},
            "outputs": {"y": VECTOR, "together": {"dtype": "INT32"}},
            "files": {"wait": "wait.txt"},
            "batching": {"max_batch_size": 8},
            "device": "gpu",
            "requirements": ["pillow>=10"],
        },
        "scale": {
            "kind": "processor",
            "backend": "onnxruntime",
            "artifact": "scale.onnx",
            "batching": {"max_batch_size": 4},
            "config": {"response_cache": {"enable": True}},
        },
        "shift": {
            "kind": "processor",
            "backend": "pytorch",
            "artifact": "shift.pt",
            "inputs": {"x": VECTOR},
            "outputs": {"y": VECTOR},
            "batching": {"max_batch_size": 4},
        },
        "speak": {
            "kind": "llm",
            "backend": "python",
            "artifact": "parts:Speak",
            "inputs": {"text": TEXT},
            "outputs": {"text": TEXT},
            "streaming": True,
            "settings": {"stop": "."},
        },
        "sing": {
            "kind": "vocoder",
            "backend": "python",
            "artifact": "parts:Sing",
            "inputs": {"text": TEXT},
            "outputs": {"pcm": VECTOR},
            "streaming": True,
            "stateful": True,
            "idempotent": False,
        },
    },
}


class Shift(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


def _write_onnx(file: Path) -> None:
    batch = ["batch", "length"]
    port = [helper.make_tensor_value_info(name, TensorProto.FLOAT, batch) for name in ("x", "y")]
    two = helper.make_tensor("two", TensorProto.FLOAT, [1], [2.0])
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "two"], ["y"])], "scale", port[:1], port[1:], [two]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(file))


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifacts")
    _write_onnx(folder / "scale.onnx")
    torch.jit.save(torch.jit.trace(Shift(), torch.zeros(1, 3)), str(folder / "shift.pt"))
    return folder


@pytest.fixture(scope="session")
def write_studio(artifacts: Path) -> Callable[..., Path]:
    """Writes the model into a new folder, after a change to what model.yaml will say."""

    def write(folder: Path, change: Callable[[dict[str, Any]], object] = lambda spec: None) -> Path:
        folder.mkdir(parents=True)
        spec = copy.deepcopy(STUDIO)
        change(spec)
        (folder / "model.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
        (folder / "flow.py").write_text(FLOW)
        (folder / "parts.py").write_text(PARTS)
        (folder / "wait.txt").write_text("0.2")
        for artifact in artifacts.iterdir():
            (folder / artifact.name).write_bytes(artifact.read_bytes())
        return folder

    return write


@pytest.fixture
def build_studio(write_studio: Callable[..., Path], tmp_path: Path) -> Callable[..., Manifest]:
    """Builds the model, changed, into tmp_path/out; options are build's own."""

    def run(change: Callable[[dict[str, Any]], object] = lambda spec: None, **options: Any) -> Manifest:
        folder = write_studio(tmp_path / "studio", change)
        return build(load_models([folder]), tmp_path / "out", **options)

    return run


@pytest.fixture(scope="session")
def serve() -> Callable[..., Server]:
    """A server for a built folder, with more flags if wanted; by default it waits for the probes."""

    def make(folder: Path, *flags: str, wait: bool = True) -> Server:
        built = read_deployment(folder)
        share = replace(built, flags=(*built.flags, *flags), probes=built.probes if wait else ())
        return Server(share, find_launcher(), exit_timeout_s=5, ready_timeout_s=120)

    return make
