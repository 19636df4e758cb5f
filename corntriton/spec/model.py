"""What model.yaml says, as frozen types: a model's ports, its components, the request types it knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, JsonValue, WithJsonSchema

from corntriton.record.signature import DTYPES, Port
from corntriton.spec.names import ModelName, Name, PortName
from corntriton.spec.validation import Frozen, choose, fault

Backend = Literal["python", "pytorch", "onnxruntime", "tensorrt", "vllm"]
Kind = Literal["encoder", "llm", "generator", "vocoder", "processor"]
Scalar: TypeAlias = bool | int | float | str
_MEANT = {"STRING": "BYTES", "STR": "BYTES", "FLOAT": "FP32", "HALF": "FP16", "INT": "INT32", "LONG": "INT64"}


def _dtype(text: str) -> str:
    if text not in DTYPES:
        guess = re.sub(r"^TYPE_", "", text.upper())
        guess = _MEANT.get(guess, re.sub(r"^FLOAT", "FP", guess))
        raise fault(f"{text!r} is not a dtype", choose(guess, DTYPES, ""))
    return text


def _dim(size: int) -> int:
    if size == 0 or size < -1:
        raise fault(
            f"{size} is not the size of a dimension", "write a size of 1 or more, or -1 where it varies"
        )
    return size


def _flow(text: str) -> str:
    file, _, function = text.rpartition(":")
    if not file.endswith(".py") or not function.isidentifier():
        what = f"{text!r} does not name a function of a file"
        raise fault(what, "write file.py:function, such as flow.py:omni")
    return text


DType = Annotated[str, AfterValidator(_dtype), WithJsonSchema({"type": "string", "enum": list(DTYPES)})]
_DIM = {"type": "integer", "minimum": -1, "not": {"const": 0}}
Dim = Annotated[int, AfterValidator(_dim), WithJsonSchema(_DIM)]
_FLOW = {"type": "string", "pattern": r"\.py:", "examples": ["flow.py:omni"]}
FlowName = Annotated[str, AfterValidator(_flow), WithJsonSchema(_FLOW)]


class PortSpec(Frozen):
    """An input or output."""

    dtype: DType
    """The element type by its protocol name: FP32, INT64, BYTES for texts and encoded files."""
    dims: tuple[Dim, ...] = (1,)
    """The shape of one item, without the batch dimension; -1 where it varies."""
    optional: bool = False
    """An input that a call may leave out; an output that a response may lack."""
    list: bool = False
    """The value is a list of such items, of any length."""

    def to_port(self) -> Port:
        """The port as recording, building and the runtime know it."""
        return Port(self.dtype, self.dims, self.optional, self.list)


class ComponentPort(PortSpec):
    """An input or output of a component."""

    memory: Literal["host", "device"] = "host"
    """`host`: an array. `device`: a tensor for torch.from_dlpack, on the GPU of a python component."""


class RequestInput(Frozen):
    """What is known about one input of a request type."""

    count: int | None = Field(default=None, ge=0)
    """How many items a list input holds; 1 where this is left out."""
    shape: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    """The input's shape, for flows that look at it and for planning; a list's items all have it."""


class RequestType(Frozen):
    """A named sort of request: the facts that decide its path."""

    inputs: Mapping[PortName, RequestInput] = Field(default_factory=dict)
    """The inputs that are present; {} where nothing more is to be said about one."""
    outputs: tuple[PortName, ...] = Field(min_length=1)
    """The outputs that the request asks for."""
    parameters: Mapping[str, Scalar] = Field(default_factory=dict)
    """Request parameters that the flow looks at."""


class Batching(Frozen):
    """How Triton joins requests into batches."""

    max_batch_size: int = Field(default=1, ge=0)
    """Requests joined at most, or streams at once. 0: no batch dimension, for native backends only."""
    max_queue_delay_us: int = Field(default=0, ge=0)
    """How long a request waits for others to join, in microseconds."""
    preferred: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Batch sizes to send off at once, without waiting for more."""


class ComponentSpec(Frozen):
    """One part of a model with its own weights or code."""

    kind: Kind
    """What the component does in the model; for people and for the planner."""
    backend: Backend
    """What runs it: `python` a class of yours, the others a file of weights."""
    artifact: str = Field(min_length=1)
    """`module:Class` for python; for vllm a folder or `hf:organisation/name`; else a file. $VARS allowed."""
    code: tuple[str, ...] | None = None
    """Files and folders packed as its code; default: the artifact's top-level module; [] if installed."""
    files: Mapping[Name, str] = Field(default_factory=dict)
    """Files and folders of weights by name, for context.file(name). $VARS are expanded."""
    settings: Mapping[str, JsonValue] = Field(default_factory=dict)
    """Anything that the class wants to know, for context.settings. Not for secrets: clients can read it."""
    inputs: Mapping[PortName, ComponentPort] | None = None
    """Inputs by name; read from the file for onnxruntime."""
    outputs: Mapping[PortName, ComponentPort] | None = None
    """Outputs by name; read from the file for onnxruntime."""
    streaming: bool = False
    """Outputs come in chunks, from the method `stream` instead of a call."""
    stateful: bool = False
    """It keeps state between the chunks of one consumer, which then all reach the same instance."""
    idempotent: bool = True
    """The same call may be made again when the process that ran it died."""
    batching: Batching = Batching()
    """How requests are joined into batches."""
    instances: int = Field(default=1, ge=1)
    """Copies that run side by side, where no plan says otherwise."""
    device: Literal["cpu", "gpu"] | None = None
    """Where it wants to run; default: gpu for tensorrt and vllm, else cpu."""
    isolation: Literal["process", "none"] = "process"
    """`none`: in Triton's own process, some 0.1 ms faster a call; a crash or a hang costs the instance."""
    watchdog_s: float = Field(default=10.0, gt=0)
    """How long past the deadline of all its work a hanging process may live, in seconds."""
    max_in_flight: int | None = Field(default=None, ge=1)
    """Requests under way at once, others wait; default: 2 x instances x max(1, max_batch_size)."""
    requirements: tuple[str, ...] = ()
    """What pip has to install beside it, listed in the manifest."""
    config: Mapping[str, JsonValue] = Field(default_factory=dict)
    """Any field of Triton's ModelConfig, named as in config.pbtxt; merged last."""

    @property
    def wanted_device(self) -> Literal["cpu", "gpu"]:
        """The device, with the default for its backend filled in."""
        return self.device or ("gpu" if self.backend in ("tensorrt", "vllm") else "cpu")

    @property
    def in_flight_limit(self) -> int:
        """The number for max_in_flight, with its default filled in."""
        return self.max_in_flight or 2 * self.instances * max(1, self.batching.max_batch_size)


class ArenaSpec(Frozen):
    """The shared memory in which large tensors pass from component to component."""

    max_bytes: int = Field(default=2 << 30, ge=1 << 20)
    """How much one process may hold; it grows when it is needed. /dev/shm must have room for all of them."""
    too_large: Literal["error", "inline"] = "error"
    """What becomes of a tensor larger than that: its request fails, or it passes through Triton, slowly."""
    device_max_bytes: int | None = Field(default=None, ge=1 << 20)
    """What one process takes of a GPU for ports with `memory: device`; default: a part of what is free."""


class ModelSpec(Frozen):
    """A model: components, and the flow that says which of them a request visits."""

    model: ModelName
    """What clients call it; the Triton model of its orchestrator."""
    flow: FlowName
    """`file.py:function`, the function decorated with @flow; the file is packed beside the orchestrator."""
    deadline_s: float = Field(default=60.0, gt=0)
    """How long a request may take that brings no timeout of its own, in seconds."""
    max_in_flight: int = Field(default=1024, ge=1)
    """Requests that the orchestrator holds at once; one more is refused as UNAVAILABLE."""
    arena: ArenaSpec = ArenaSpec()
    """Shared memory for the tensors under way."""
    inputs: Mapping[PortName, PortSpec] = Field(min_length=1)
    """What a request may bring."""
    outputs: Mapping[PortName, PortSpec] = Field(min_length=1)
    """What a request may ask for."""
    request_types: Mapping[Name, RequestType] = Field(default_factory=dict)
    """The known sorts of request; each is recorded when the model is checked and built."""
    components: Mapping[Name, ComponentSpec] = Field(min_length=1)
    """The components by name, as the flow calls them."""


def to_ports(specs: Mapping[str, PortSpec] | None) -> dict[str, Port]:
    """Ports by name; none where a component leaves them to its file."""
    return {name: spec.to_port() for name, spec in (specs or {}).items()}
