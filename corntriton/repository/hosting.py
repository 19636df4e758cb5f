"""Decides what runs each component: a native backend, or the Python backend with a host of ours.

| component   | `embedded`         | `ngc`         |
|-------------|--------------------|---------------|
| python      | Python, your class | the same      |
| onnxruntime | Python, our host   | `onnxruntime` |
| pytorch     | Python, our host   | `pytorch`     |
| tensorrt    | refused            | `tensorrt`    |
| vllm        | refused            | `vllm`        |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from corntriton.record.signature import Port, Signature
from corntriton.repository import engine
from corntriton.spec.components import Component
from corntriton.spec.files import Spot

Backends = Literal["embedded", "ngc"]

# Of a vllm component's settings, what goes along with each request; the others are engine arguments.
SAMPLING = "sampling"

_HOSTS = {"python": "python", "onnxruntime": "onnxruntime", "pytorch": "torch"}
_ABSENT = {
    "tensorrt": "write backend: onnxruntime and name an ONNX file, or build with --backends ngc",
    "vllm": "host the model in a class of yours with backend: python, or build with --backends ngc",
}


@dataclass(frozen=True)
class Hosting:
    """How a component is served.

    Attributes:
        backend: Triton's.
        host: `python`, `onnxruntime` or `torch` where the backend is Python, else None.
        kind: Of the instances: KIND_CPU, KIND_GPU, KIND_MODEL.
        gpu_withheld: The component asked for a GPU and does not get one.
        input_names: The Triton model's own input names, where they differ from the component's.
        output_names: The same for outputs.
        constants: Inputs that every request has to bring, by their Triton names.
    """

    backend: str
    host: str | None
    kind: str
    gpu_withheld: bool = False
    input_names: Mapping[str, str] = field(default_factory=dict)
    output_names: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, bool | str] = field(default_factory=dict)


def choose_hosting(component: Component, backends: Backends, spot: Spot) -> Hosting | None:
    """How a component is served, or None, noted, where these backends cannot.

    Args:
        component: The component.
        backends: What the server will have.
        spot: The component's place.
    """
    wanted = component.spec.backend
    if backends == "embedded":
        if wanted in _ABSENT:
            what = f"is {wanted}, which the embedded server lacks"
            spot.at("backend").note(what, _ABSENT[wanted])
            return None
        if "BF16" in {port.dtype for port in _ports(component.signature)}:
            what = f"is {wanted} with BF16 tensors, which the embedded server's hosts cannot read"
            spot.at("backend").note(what, "export the model with FP32 ports, or build with --backends ngc")
            return None
        return Hosting("python", _HOSTS[wanted], "KIND_CPU", component.spec.wanted_device == "gpu")
    if wanted == "vllm" and not component.signature.streaming:
        what = "is false, but Triton's vLLM backend always answers with a stream"
        spot.at("streaming").note(what, "write streaming: true; a flow may still use the whole text")
        return None
    if engine.is_source(component):
        engine.check(component, spot)
    return _native(component)


def _ports(signature: Signature) -> list[Port]:
    return [*signature.inputs.values(), *signature.outputs.values()]


def _native(component: Component) -> Hosting:
    wanted, signature = component.spec.backend, component.signature
    kind = "KIND_GPU" if component.spec.wanted_device == "gpu" else "KIND_CPU"
    if wanted == "python":
        return Hosting("python", "python", kind)
    if wanted == "pytorch":
        inputs, outputs = _numbered("INPUT", signature.inputs), _numbered("OUTPUT", signature.outputs)
        return Hosting("pytorch", None, kind, input_names=inputs, output_names=outputs)
    if wanted == "vllm":
        return _vllm(component, kind)
    return Hosting(wanted, None, kind)


def _numbered(stem: str, ports: Mapping[str, object]) -> dict[str, str]:
    """TorchScript keeps no port names; `<name>__<index>` says the position: the order in model.yaml.

    https://github.com/triton-inference-server/server/blob/main/docs/user_guide/model_configuration.md,
    "Special Conventions for PyTorch Backend".
    """
    return {name: f"{stem}__{index}" for index, name in enumerate(ports)}


def _vllm(component: Component, kind: str) -> Hosting:
    """The fixed ports of https://github.com/triton-inference-server/vllm_backend (src/model.py).

    `stream` makes it send each piece of text once, and without the prompt. Without `sampling_parameters`
    it would take the orchestrator's request parameters for them, and fail. Images have to be base64 texts.
    An engine that spreads over several GPUs is refused as KIND_GPU.
    """
    signature, settings = component.signature, component.spec.settings
    spread = any(settings.get(f"{sort}_parallel_size", 1) != 1 for sort in ("tensor", "pipeline"))
    return Hosting(
        "vllm",
        None,
        "KIND_MODEL" if spread else kind,
        input_names={n: "image" if port.list else "text_input" for n, port in signature.inputs.items()},
        output_names={name: "text_output" for name in signature.outputs},
        constants={
            "stream": True,
            "sampling_parameters": json.dumps(settings.get(SAMPLING, {}), sort_keys=True),
        },
    )


def triton_signature(signature: Signature, hosting: Hosting) -> Signature:
    """The signature with the names that the Triton model has."""
    return Signature(
        {hosting.input_names.get(name, name): port for name, port in signature.inputs.items()},
        {hosting.output_names.get(name, name): port for name, port in signature.outputs.items()},
        signature.streaming,
    )
