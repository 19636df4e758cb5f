"""The Triton model of a component: its config, what lies in its folder, how the orchestrator calls it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path as File
from typing import Any

from corntriton.record.signature import Signature
from corntriton.repository import engine
from corntriton.repository.hosting import SAMPLING, triton_signature
from corntriton.repository.packing import pack_code, place_weights
from corntriton.repository.served import Served
from corntriton.repository.tensors import Tensor, tensors_of, with_refs
from corntriton.repository.transports import (
    arena_bytes,
    device_arena_bytes,
    dref_inputs,
    dref_outputs,
    ref_inputs,
    ref_outputs,
    spills,
)
from corntriton.repository.units import Unit
from corntriton.resources import resource_dir
from corntriton.runtime.settings import ERROR_OUTPUT, ComponentSettings, Target

TEMPLATE = "component.config.pbtxt.j2"

# What the artifact is called below 1/: the names that the native backends look for.
_ARTIFACTS = {"onnxruntime": "model.onnx", "pytorch": "model.pt", "tensorrt": "model.plan"}
# Where the NGC images' documentation mounts the repository; vLLM takes no path relative to the model.
_MOUNT = "/models"


def max_batch_size(served: Served) -> int:
    """Triton's; vLLM batches by itself and refuses a batch dimension."""
    return 0 if served.hosting.backend == "vllm" else served.component.spec.batching.max_batch_size


def config_values(unit: Unit) -> dict[str, Any]:
    """What the template of a component's config is rendered with."""
    [served] = unit.members.values()
    spec, hosting = served.component.spec, served.hosting
    signature = triton_signature(served.component.signature, hosting)
    batch = max_batch_size(served)
    return {
        "name": served.name,
        "component": served.component,
        "by_ref": bool(ref_inputs(served) or ref_outputs(served)),
        "by_dref": bool(dref_outputs(served)),
        "users": [model.name for model in served.users],
        "hosting": hosting,
        "inputs": _inputs(served, signature, batch),
        "outputs": (
            *with_refs(
                tensors_of(signature.outputs),
                signature.outputs,
                ref_outputs(served),
                by_dref=dref_outputs(served),
            ),
            *_error_output(served),
        ),
        "max_batch_size": batch,
        "batching": spec.batching,
        "stateful": spec.stateful,
        # A sequence keeps its place between its chunks, for as long as its request may take.
        "sequence_idle_us": round(max(model.spec.deadline_s for model in served.users) * 1e6),
        "sequences": max(model.spec.max_in_flight for model in served.users),
        "decoupled": signature.streaming,
        "instances": unit.count,
        "gpus": unit.gpus,
        "reasons": unit.reasons,
    }


def _error_output(served: Served) -> tuple[Tensor, ...]:
    """The output by which a stream of ours tells an orchestrator that it failed."""
    return (Tensor(ERROR_OUTPUT, "TYPE_STRING", (1,)),) if _tells_errors(served) else ()


def _tells_errors(served: Served) -> bool:
    return served.hosting.host is not None and served.component.signature.streaming


def _inputs(served: Served, signature: Signature, batch: int) -> tuple[Tensor, ...]:
    if served.hosting.backend != "vllm":
        ragged = served.hosting.host is not None and batch > 1
        tensors = tensors_of(signature.inputs, inputs=True, ragged=ragged)
        return with_refs(tensors, signature.inputs, ref_inputs(served), inputs=True, ragged=ragged)
    # vLLM wants images as a row of texts; a list of ours has one more dimension.
    inputs = [
        replace(tensor, reshape=(-1,)) if len(tensor.dims) > 1 else tensor
        for tensor in tensors_of(signature.inputs, inputs=True)
    ]
    types = {bool: "TYPE_BOOL", str: "TYPE_STRING"}
    constants = served.hosting.constants.items()
    return (*inputs, *(Tensor(name, types[type(value)], (1,), optional=True) for name, value in constants))


def target(served: Served, max_in_flight: int, idempotent: bool) -> Target:
    """How an orchestrator calls it; the limit and idempotence are of the calling model's declaration."""
    hosting = served.hosting
    return Target(
        served.name,
        max_batch_size(served) > 0,
        max_in_flight,
        served.component.spec.stateful,
        idempotent,
        hosting.input_names,
        hosting.output_names,
        hosting.constants,
        _tells_errors(served),
        ref_inputs=ref_inputs(served),
        ref_outputs=ref_outputs(served),
        dref_inputs=dref_inputs(served),
        dref_outputs=dref_outputs(served),
        spills=spills(served.users),
        max_rows=max_batch_size(served),
    )


def weights(served: Served) -> Iterator[tuple[str, File, str]]:
    """Each file or folder of weights: its path below 1/, where it comes from, what model.yaml says it is."""
    component = served.component
    for name, source in sorted(component.files.items()):
        yield f"files/{name}", source, component.spec.files[name]
    if component.spec.backend in _ARTIFACTS:
        name = engine.SOURCE if engine.is_source(component) else _ARTIFACTS[component.spec.backend]
        yield name, File(component.artifact), component.spec.artifact
    if component.spec.backend == "vllm" and File(component.artifact).is_dir():
        yield "files/weights", File(component.artifact), component.spec.artifact
    for companion in component.companions:
        relative = companion.relative_to(File(component.artifact).parent).as_posix()
        yield relative, companion, f"{component.spec.artifact}: {relative}"


def write(served: Served, folder: File, runtime: bytes, link: bool) -> None:
    """Fills the model's version folder."""
    folder.mkdir(parents=True)
    for path, source, _ in weights(served):
        place_weights(source, folder / path, link)
    if engine.is_source(served.component):
        engine.write_recipe(served.component, folder)
    if served.hosting.host is not None:
        _write_host(served, folder, runtime)
    elif served.hosting.backend == "vllm":
        (folder / "model.json").write_text(
            json.dumps(_engine_arguments(served), indent=1, sort_keys=True) + "\n"
        )


def _write_host(served: Served, folder: File, runtime: bytes) -> None:
    shutil.copyfile(resource_dir("python_backends") / "component" / "model.py", folder / "model.py")
    (folder / "corntriton_runtime.zip").write_bytes(runtime)
    pack_code(served.component.code, folder / "code")
    settings(served).save(folder / "component.json")


def settings(served: Served) -> ComponentSettings:
    """What the host of a component reads when it starts."""
    component, spec = served.component, served.component.spec
    assert served.hosting.host is not None  # by the caller
    on_device = component.device_inputs, component.device_outputs
    in_memory = any((ref_inputs(served), ref_outputs(served), *on_device))
    return ComponentSettings(
        component.name,
        served.hosting.host,
        _ARTIFACTS.get(spec.backend, component.artifact),
        component.signature,
        max_batch_size(served),
        stateful=spec.stateful,
        settings=spec.settings,
        files={name: f"files/{name}" for name in component.files},
        idempotent=served.idempotent,
        isolated=spec.isolation == "process",
        watchdog_s=spec.watchdog_s,
        arena_bytes=arena_bytes(served.users) if in_memory else 0,
        ref_inputs=ref_inputs(served),
        ref_outputs=ref_outputs(served),
        spills=spills(served.users),
        device_inputs=component.device_inputs,
        device_outputs=component.device_outputs,
        device_arena_bytes=device_arena_bytes(served.users),
    )


def _engine_arguments(served: Served) -> Mapping[str, Any]:
    """What vLLM's AsyncEngineArgs take: the component's settings, and the weights."""
    artifact = served.component.artifact
    model = artifact.removeprefix("hf:")
    if File(artifact).is_dir():
        model = f"{_MOUNT}/{served.name}/1/files/weights"
    settings = {name: value for name, value in served.component.spec.settings.items() if name != SAMPLING}
    return {"model": model, **settings}
