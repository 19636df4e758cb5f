"""What `build` writes into a model directory and the runtime reads: component.json and orchestrator.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path as File
from typing import Any

from corntriton.record.codec import path_from_json, path_to_json
from corntriton.record.path import Path
from corntriton.record.signature import ModelSignature, Signature

# WAR (24.10): when a stream that BLS reads ends with an error, the reader is not told and waits for ever,
# because the Python backend sends errors on without the reader's id. So a streaming component of ours has
# one more output, in which it tells an orchestrator why its stream failed. Goes when 25.05 is the oldest
# server (https://github.com/triton-inference-server/python_backend/pull/398).
ERROR_OUTPUT = "corntriton_error"
# The input and the output of an executor of several components, and the value of the input that is the path.
CALL, RESULT, PATH = "call", "result", "path"
# Behind a port's name: the port that takes or gives refs to tensors instead of tensors.
REF = "__ref"
# Behind an output's name: its refs for readers on GPUs, which may lie in the memory of one.
DREF = "__dref"


@dataclass(frozen=True)
class ComponentSettings:
    """Of the model that hosts one component; lies at `1/component.json`.

    Attributes:
        name: The component's name.
        host: `python` (artifact is `module:Class`, found in `1/code`), `onnxruntime` (a .onnx file
            under `1/`) or `torch` (a TorchScript file under `1/`).
        artifact: See host.
        signature: The component's ports.
        max_batch_size: Triton's; 0 means that requests have no batch dimension.
        stateful: Chunks of one consumer arrive as a sequence.
        settings: The user's own settings, handed to `load` through the context.
        files: Paths below `1/` by the names the user gave them.
        idempotent: An item may be computed again: when a call for several requests raises, each is computed
            alone, so that one of them does not fail its neighbours.
        isolated: The user's code runs in a process of its own, which is replaced when it dies or hangs.
        watchdog_s: How long past the deadline of everything it works on a process may go on before it
            ends itself, so that Triton starts a new one.
        arena_bytes: How much its arena may grow; 0 where none of its ports is by ref.
        ref_inputs: The inputs that come by ref, which a component sees as read-only memory.
        ref_outputs: The outputs that can be taken by ref.
        spills: An output that its arena could never hold is given inline, to callers that ask for both.
        device_inputs: The inputs that the component gets as tensors on its device.
        device_outputs: The outputs that it gives as such.
        device_arena_bytes: How large its arena on a GPU is, if it has any; a part of what is free if 0.
        device: `cuda:N` for what computes there though Triton has placed it on the CPU.
    """

    name: str
    host: str
    artifact: str
    signature: Signature
    max_batch_size: int
    stateful: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    idempotent: bool = True
    isolated: bool = True
    watchdog_s: float = 10.0
    arena_bytes: int = 0
    ref_inputs: Sequence[str] = ()
    ref_outputs: Sequence[str] = ()
    spills: bool = False
    device_inputs: Sequence[str] = ()
    device_outputs: Sequence[str] = ()
    device_arena_bytes: int = 0
    device: str = ""

    @property
    def slots(self) -> int:
        """Requests that one instance works on at once."""
        return max(1, self.max_batch_size)

    @property
    def wants_device(self) -> bool:
        """It has ports whose tensors it wants on its device."""
        return bool(self.device_inputs or self.device_outputs)

    def save(self, file: File) -> None:
        """Writes the file; equal settings give equal bytes."""
        _write(file, self.to_json())

    @classmethod
    def load(cls, file: File) -> ComponentSettings:
        """Reads what save wrote."""
        return cls.from_json(json.loads(file.read_text()))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**_shallow(self), "signature": self.signature.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ComponentSettings:
        """The inverse of to_json."""
        return cls(**{**data, "signature": Signature.from_json(data["signature"])})


@dataclass(frozen=True)
class ExecutorSettings:
    """Of the model that hosts several components in one process; lies at `1/executor.json`.

    Attributes:
        name: The Triton model's.
        members: The components, by the names that calls have for them. What belongs to one lies in a folder
            of that name under `1/`, but all code in `1/code`.
        slots: Calls that one instance works on at once.
        devices: The GPUs that the process may see, where it needs others than the one Triton gives it.
        arena_bytes: How much its arena may grow.
        device_arena_bytes: See ComponentSettings.
    """

    name: str
    members: Mapping[str, ComponentSettings]
    slots: int
    devices: Sequence[int] = ()
    arena_bytes: int = 0
    device_arena_bytes: int = 0

    stateful = False
    max_batch_size = 0
    isolated = True

    @property
    def watchdog_s(self) -> float:
        """That of the most patient member: the process is the same."""
        return max(member.watchdog_s for member in self.members.values())

    def save(self, file: File) -> None:
        """Writes the file; equal settings give equal bytes."""
        _write(file, {**_shallow(self), "members": {n: m.to_json() for n, m in self.members.items()}})

    @classmethod
    def load(cls, file: File) -> ExecutorSettings:
        """Reads what save wrote."""
        data = json.loads(file.read_text())
        members = {name: ComponentSettings.from_json(member) for name, member in data["members"].items()}
        return cls(**{**data, "members": members})


@dataclass(frozen=True)
class Target:
    """How the orchestrator calls a component.

    Attributes:
        model_name: The Triton model to call.
        batched: Its requests have a batch dimension.
        stateful: Chunks of one consumer must be sent as a sequence.
        idempotent: An invocation may be repeated when the process that ran it died.
        max_in_flight: The most requests under way at once that visit the same members; more wait in the
            orchestrator.
        input_names: The Triton model's own input names, where they differ from the component's.
        output_names: The same for outputs.
        constants: Inputs of shape [1] that every request brings, by their Triton names: `stream` of vLLM;
            a text is BYTES.
        tells_errors: It has the output ERROR_OUTPUT.
        component: What it serves, where that is not its name.
        members: Of an executor of several components: what it calls each of this model's components that
            live in it. One call runs a whole part of a path there.
        stateful_members: Those of them that keep state.
        ref_inputs: The inputs that are given by ref, by the component's names.
        ref_outputs: The outputs that are taken by ref.
        dref_inputs: Those of ref_inputs that may be refs to the memory of a GPU.
        dref_outputs: Those of ref_outputs of which there are such.
        spills: Tensors that no arena could ever hold pass inline.
        ensemble: It is a whole path; a failure's text names the component.
        max_rows: Triton's max_batch_size; one call of an ensemble may carry so many requests.
        server: The role of the servers that have it; empty where it is on the orchestrator's own.
    """

    model_name: str
    batched: bool
    max_in_flight: int
    stateful: bool = False
    idempotent: bool = True
    input_names: Mapping[str, str] = field(default_factory=dict)
    output_names: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, bool | str] = field(default_factory=dict)
    tells_errors: bool = False
    component: str = ""
    members: Mapping[str, str] = field(default_factory=dict)
    stateful_members: Sequence[str] = ()
    ref_inputs: Sequence[str] = ()
    ref_outputs: Sequence[str] = ()
    dref_inputs: Sequence[str] = ()
    dref_outputs: Sequence[str] = ()
    spills: bool = False
    ensemble: bool = False
    max_rows: int = 1
    server: str = ""


@dataclass(frozen=True)
class Route:
    """A way for the requests of one path.

    Attributes:
        share: Of them.
        stops: The target of each invocation of the recorded path.
    """

    share: float
    stops: Mapping[str, str]


@dataclass(frozen=True)
class CompiledRoute:
    """A whole path on one of its routes as a single call.

    Attributes:
        target: What is called: an ensemble.
        signature: Its ports.
        path: Its one invocation, and what the model's outputs are of it.
    """

    target: str
    signature: Signature
    path: Path

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "target": self.target,
            "signature": self.signature.to_json(),
            "path": path_to_json(self.path),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CompiledRoute:
        """The inverse of to_json."""
        return cls(data["target"], Signature.from_json(data["signature"]), path_from_json(data["path"]))


@dataclass(frozen=True)
class OrchestratorSettings:
    """Of the model that carries a model's requests; lies at `1/orchestrator.json`.

    Attributes:
        model: The model's signature.
        flow: `file.py:function`; the file lies in `1/code`.
        targets: What may be called, by name: components, or, with a plan, Triton models.
        paths: The recorded path of each request type known at build time.
        deadline_s: For requests that bring no timeout of their own.
        max_in_flight: Requests held at once; one more is UNAVAILABLE at once.
        max_paths: Paths kept; the least recently used one goes first.
        routes: By path, the ways that its requests are spread over; none where no plan was given.
        usual: The target of each component on a path without routes; by default that of its name.
        compiled: By path, for each of its routes (without a plan it has one) what is called instead of its
            components; None where the path is replayed step by step.
        arena_bytes: How much the arena may grow that takes what requests bring.
        role: Of the server, where the plan has several nodes; servers of one role serve the same.
    """

    model: ModelSignature
    flow: str
    targets: Mapping[str, Target]
    paths: Mapping[str, Path]
    deadline_s: float = 60.0
    max_in_flight: int = 1024
    max_paths: int = 256
    routes: Mapping[str, Sequence[Route]] = field(default_factory=dict)
    usual: Mapping[str, str] = field(default_factory=dict)
    compiled: Mapping[str, Sequence[CompiledRoute | None]] = field(default_factory=dict)
    arena_bytes: int = 0
    role: str = ""

    def save(self, file: File) -> None:
        """Writes the file; equal settings give equal bytes."""
        data = {
            **_shallow(self),
            "model": self.model.to_json(),
            "targets": {name: asdict(target) for name, target in self.targets.items()},
            "paths": {name: path_to_json(path) for name, path in self.paths.items()},
            "routes": {name: [asdict(route) for route in routes] for name, routes in self.routes.items()},
            "compiled": {
                name: [route and route.to_json() for route in routes]
                for name, routes in self.compiled.items()
            },
        }
        _write(file, data)

    @classmethod
    def load(cls, file: File) -> OrchestratorSettings:
        """Reads what save wrote."""
        data = json.loads(file.read_text())
        return cls(
            **{
                **data,
                "model": ModelSignature.from_json(data["model"]),
                "targets": {name: Target(**target) for name, target in data["targets"].items()},
                "paths": {name: path_from_json(path) for name, path in data["paths"].items()},
                "routes": {
                    name: tuple(Route(**route) for route in routes) for name, routes in data["routes"].items()
                },
                "compiled": {
                    name: tuple(route and CompiledRoute.from_json(route) for route in routes)
                    for name, routes in data["compiled"].items()
                },
            }
        )


def port_of(tensor: str) -> str:
    """The port whose value, or refs to it, a tensor of this name holds."""
    return tensor.removesuffix(REF).removesuffix(DREF)


def _shallow(settings: ComponentSettings | ExecutorSettings | OrchestratorSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


def _write(file: File, data: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")
