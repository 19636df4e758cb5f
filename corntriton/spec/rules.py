"""What goes together in a component and what does not: batching, state, streaming, backends."""

from __future__ import annotations

import re
from collections.abc import Iterator

from corntriton.spec.files import Spot
from corntriton.spec.model import ComponentPort, ComponentSpec

_PYTHON_ARTIFACT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_HUB_NAME = re.compile(r"hf:[\w.-]+/[\w.-]+")


def is_hub_name(artifact: str) -> bool:
    """Whether vllm fetches the artifact itself: `hf:organisation/name`."""
    return _HUB_NAME.fullmatch(artifact) is not None


def check_rules(spec: ComponentSpec, spot: Spot) -> None:
    """Notes every rule that a component breaks on its own, without a look at its files."""
    _check_batching(spec, spot.at("batching"))
    _check_streaming(spec, spot)
    _check_state(spec, spot)
    _check_memory(spec, spot)
    if spec.backend == "python":
        _check_python(spec, spot)
    else:
        _check_native(spec, spot)
    if spec.backend != "onnxruntime":
        _check_ports_given(spec, spot)
    if spec.backend in ("pytorch", "tensorrt"):
        _check_no_texts(spec, spot)
    if spec.backend == "tensorrt" and spec.device == "cpu":
        spot.at("device").note("is cpu, but TensorRT runs on GPUs only", "write gpu, or leave the device out")
    if spec.backend == "vllm":
        _check_vllm(spec, spot)


def _all_ports(spec: ComponentSpec, spot: Spot) -> Iterator[tuple[Spot, ComponentPort]]:
    for side, ports in (("inputs", spec.inputs), ("outputs", spec.outputs)):
        for name, port in (ports or {}).items():
            yield spot.at(side, name), port


def _check_batching(spec: ComponentSpec, spot: Spot) -> None:
    batching = spec.batching
    most = batching.max_batch_size
    for index, size in enumerate(batching.preferred):
        if size > most:
            what = f"{size} is larger than max_batch_size, which is {most}"
            spot.at("preferred", index).note(what, f"prefer at most {most}, or raise max_batch_size")
    if batching.max_queue_delay_us and most <= 1:
        what = f"requests would wait for others, but max_batch_size is {most}, so none can join"
        spot.at("max_queue_delay_us").note(what, "raise batching.max_batch_size, or leave the delay out")


def _check_streaming(spec: ComponentSpec, spot: Spot) -> None:
    for field in ("max_queue_delay_us", "preferred"):
        if spec.streaming and getattr(spec.batching, field):
            what = "is for requests that are joined, but each stream begins on its own"
            spot.at("batching", field).note(
                what, f"leave {field} out; max_batch_size is how many streams run at once"
            )


def _check_state(spec: ComponentSpec, spot: Spot) -> None:
    if not spec.stateful:
        return
    if spec.backend != "python":
        what = f"needs backend python; {spec.backend} has no sequences here"
        spot.at("stateful").note(what, "leave stateful out, or wrap the weights in a class of yours")
    if spec.idempotent and "idempotent" in spec.model_fields_set:
        what = "is true, but a stateful component would count a repeated call twice"
        spot.at("idempotent").note(what, "leave idempotent out, or write false")
    for field in ("max_queue_delay_us", "preferred"):
        if getattr(spec.batching, field):
            what = "belongs to the dynamic batcher, but a stateful component is fed by the sequence batcher"
            spot.at("batching", field).note(what, f"leave {field} out; Triton's own options go under config")


def _check_memory(spec: ComponentSpec, spot: Spot) -> None:
    for here, port in _all_ports(spec, spot):
        if port.memory == "host":
            continue
        chunks = spec.streaming and here.place[-2] == "outputs"
        if spec.backend != "python":
            what = f"is device, but {spec.backend} gets its tensors from Triton"
            here.at("memory").note(what, "leave memory out, or write backend: python with a class of yours")
        elif spec.wanted_device != "gpu":
            here.at("memory").note("is device, but the component runs on the cpu", "write device: gpu for it")
        elif port.dtype == "BYTES" or chunks:
            what = f"is device, but {'chunks' if chunks else 'BYTES'} always lie on the host"
            here.at("memory").note(what, "leave memory out")


def _check_python(spec: ComponentSpec, spot: Spot) -> None:
    if not _PYTHON_ARTIFACT.fullmatch(spec.artifact):
        what = f"{spec.artifact!r} does not name a class of a module"
        spot.at("artifact").note(what, "write module:Class, such as components.whisper:Encoder")
    if spec.batching.max_batch_size == 0:
        what = "is 0, but a python component always gets a list of items"
        spot.at("batching", "max_batch_size").note(what, "write 1 or more, or leave it out")
    for here, port in _all_ports(spec, spot):
        if port.dtype == "BF16":
            here.at("dtype").note(
                "is BF16, which numpy does not have", "write FP32, or UINT16 for the bare bits"
            )


def _check_native(spec: ComponentSpec, spot: Spot) -> None:
    for field in ("code", "files"):
        if getattr(spec, field):
            what = f"is for components with backend python; {spec.backend} loads its artifact only"
            spot.at(field).note(what, f"remove {field}, or write backend: python with a class of yours")
    if spec.streaming and spec.backend != "vllm":
        what = f"is true, but {spec.backend} answers once per request"
        spot.at("streaming").note(what, "leave streaming out, or write backend: python")
    for name, port in (spec.inputs or {}).items():
        if port.optional and spec.backend != "vllm":
            what = f"is true, but {spec.backend} needs all its inputs"
            spot.at("inputs", name, "optional").note(what, "leave optional out, or write backend: python")


def _check_ports_given(spec: ComponentSpec, spot: Spot) -> None:
    for side in ("inputs", "outputs"):
        if not getattr(spec, side):
            what = f"is empty or missing; only onnxruntime reads its {side} from the file"
            spot.at(side).note(what, f"list the {side}, such as x: {{dtype: FP32, dims: [-1]}}")


def _check_no_texts(spec: ComponentSpec, spot: Spot) -> None:
    for here, port in _all_ports(spec, spot):
        if port.dtype == "BYTES":
            what = f"is BYTES, but {spec.backend} knows numbers only"
            here.at("dtype").note(what, "use a numeric dtype, or backend: python")


def _check_vllm(spec: ComponentSpec, spot: Spot) -> None:
    prompts = [port for port in (spec.inputs or {}).values() if not port.list]
    for here, port in _all_ports(spec, spot):
        if port.dtype != "BYTES":
            what = f"is {port.dtype}, but Triton's vLLM backend passes texts and encoded images only"
            fix = "write BYTES, or host the engine in a class of yours with backend: python"
            here.at("dtype").note(what, fix)
    if spec.inputs and len(prompts) != 1:
        what = f"has {len(prompts)} inputs that are no lists, but vLLM takes one prompt"
        spot.at("inputs").note(what, "declare one plain input for the prompt, and images with list: true")
    if spec.outputs and len(spec.outputs) != 1:
        what = f"has {len(spec.outputs)} outputs, but vLLM gives one text"
        spot.at("outputs").note(what, "declare the one output that is the text")
