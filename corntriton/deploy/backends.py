"""Which backends a build needs, and which of NVIDIA's images has them; a manifest in, names out."""

from __future__ import annotations

from collections.abc import Iterator

from corntriton.repository import engine
from corntriton.repository.manifest import Manifest, ModelEntry

REGISTRY = "nvcr.io/nvidia"
RELEASE = "26.11"
"""The newest that was seen to exist."""
OLDEST_RELEASE = "26.07"
"""Streams of earlier ones can deadlock, and they lack flags that are used here."""

_ENGINE_SOURCE = f"1/{engine.SOURCE}"

# The file by which a model's backend is known; a model of ours with several is hosted in Python.
_BY_FILE = {
    "1/model.py": "python",
    "1/model.json": "vllm",
    "1/model.onnx": "onnxruntime",
    "1/model.pt": "pytorch",
    "1/model.plan": "tensorrt",
    _ENGINE_SOURCE: "tensorrt",
}
# NVIDIA's image with vLLM has no others.
_BESIDE_VLLM = {"python", "vllm"}


def backend_of(model: ModelEntry) -> str | None:
    """The backend that a model needs; None for an ensemble."""
    return next((backend for file, backend in _BY_FILE.items() if file in model.files), None)


def backends_of(manifest: Manifest) -> tuple[str, ...]:
    """All that a server needs, sorted."""
    return tuple(sorted({backend for model in manifest.models if (backend := backend_of(model))}))


def builds_engines(manifest: Manifest) -> bool:
    """Whether TensorRT engines have to be built on the machine that serves."""
    return any(_ENGINE_SOURCE in model.files for model in manifest.models)


def without_image(manifest: Manifest) -> Iterator[ModelEntry]:
    """The models whose backend is missing in the image that the others need."""
    if "vllm" in backends_of(manifest):
        for model in manifest.models:
            if (backend_of(model) or "python") not in _BESIDE_VLLM:
                yield model


def image(backends: tuple[str, ...], release: str) -> str:
    """The image of NVIDIA's, pinned to a release."""
    return f"{REGISTRY}/tritonserver:{release}-{'vllm-python-py3' if 'vllm' in backends else 'py3'}"
