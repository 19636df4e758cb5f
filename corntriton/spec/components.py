"""Resolves a component: a ComponentSpec and its folder in, a Component with its files and ports out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as File

from corntriton.record.signature import Signature
from corntriton.spec.artifacts import find_artifact, find_code
from corntriton.spec.files import Spot
from corntriton.spec.model import ComponentPort, ComponentSpec, to_ports
from corntriton.spec.onnx_file import OnnxFile, UnreadableOnnxError, check_declared, read_onnx, without_batch
from corntriton.spec.paths import existing
from corntriton.spec.python_artifact import check_class
from corntriton.spec.rules import check_rules

# What another component may differ in and yet be served by the same Triton model.
_APART = frozenset(
    {"kind", "artifact", "code", "files", "inputs", "outputs", "device", "idempotent", "max_in_flight"}
)


@dataclass(frozen=True)
class Component:
    """A component whose files were found and whose ports are known.

    Attributes:
        name: As the flow calls it.
        spec: As it was written.
        signature: Its ports; those of an ONNX file filled in.
        artifact: `module:Class`, `hf:organisation/name`, or the absolute path of a file or folder.
        code: Files and folders that go into 1/code, absolute.
        files: What context.file(name) gives, absolute.
        companions: Files that have to lie beside the artifact, absolute: an ONNX file's weights.
    """

    name: str
    spec: ComponentSpec
    signature: Signature
    artifact: str
    code: tuple[File, ...] = ()
    files: Mapping[str, File] = field(default_factory=dict)
    companions: tuple[File, ...] = ()

    @property
    def device_inputs(self) -> tuple[str, ...]:
        """The inputs that it wants in the memory of its device, in their order."""
        return _in_device_memory(self.spec.inputs)

    @property
    def device_outputs(self) -> tuple[str, ...]:
        """The outputs that it gives there."""
        return _in_device_memory(self.spec.outputs)

    @property
    def key(self) -> str:
        """Equal for components that one Triton model can serve, whatever the models call them."""
        data = self.spec.model_dump(mode="json", exclude=set(_APART))
        data["device"] = self.spec.wanted_device
        data["artifact"] = self.artifact
        data["code"] = [str(file) for file in self.code]
        data["files"] = {name: str(file) for name, file in self.files.items()}
        data["signature"] = self.signature.to_json()
        data["on_device"] = [self.device_inputs, self.device_outputs]
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def resolve(name: str, spec: ComponentSpec, spot: Spot, *, whole: bool = True) -> Component | None:
    """Finds a component's files and ports, and notes every problem with them.

    Args:
        name: The component's name.
        spec: What was written about it.
        spot: Its place.
        whole: Nothing of it was left out as invalid; else what depends on several fields is not judged.

    Returns:
        The component, or None where its ports are not known. Files that are missing were noted, and
        are missing in it as well: a flow can be recorded without them.
    """
    if whole:
        check_rules(spec, spot)
    files = {key: existing(path, spot.at("files", key)) for key, path in spec.files.items()}
    artifact = find_artifact(spec, spot.at("artifact"))
    code = find_code(spec, spot)
    if spec.backend == "python" and artifact and code and whole:
        check_class(artifact, code, spec.streaming, spot.at("artifact"))
    reads_file = whole and (
        spec.backend == "onnxruntime" or (spec.backend == "tensorrt" and spec.artifact.endswith(".onnx"))
    )
    file = _onnx(spec, artifact, spot) if artifact and reads_file else None
    signature = _signature(spec, file)
    if signature is None:
        return None
    return Component(
        name,
        spec,
        signature,
        artifact or spec.artifact,
        code,
        {key: path for key, path in files.items() if path is not None},
        tuple(File(artifact).parent / name for name in file.data) if artifact and file else (),
    )


def _in_device_memory(ports: Mapping[str, ComponentPort] | None) -> tuple[str, ...]:
    return tuple(name for name, port in (ports or {}).items() if port.memory == "device")


def _onnx(spec: ComponentSpec, artifact: str, spot: Spot) -> OnnxFile | None:
    try:
        file = without_batch(read_onnx(File(artifact)), spec, spot)
    except UnreadableOnnxError as error:
        spot.at("artifact").note(
            str(error), "put all its files there, or export it again with shapes for its ports"
        )
        return None
    if file is not None:
        check_declared(spec, "inputs", file.inputs, spot)
        check_declared(spec, "outputs", file.outputs, spot)
    return file


def _signature(spec: ComponentSpec, file: OnnxFile | None) -> Signature | None:
    """Declared ports, else the file's; None where there are none."""
    inputs = to_ports(spec.inputs) or (file.inputs if file else {})
    outputs = to_ports(spec.outputs) or (file.outputs if file else {})
    return Signature(inputs, outputs, spec.streaming) if inputs and outputs else None
