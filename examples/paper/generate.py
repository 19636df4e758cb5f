"""Writes six published models as graphs with profiles and workloads: `python examples/paper/generate.py`.

figures.yaml ──figures.py──> a folder for each model: model.yaml, profiles.json, a workload for each mix
                             cluster-<name>.yaml beside them
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations
from pathlib import Path as File
from typing import Any

import yaml

HERE = File(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from figures import FIGURES, MEDIA, Model, RequestType, Tensor, curve_of, models  # noqa: E402

WRITTEN = "# Written by generate.py from figures.yaml: change those.\n"


def generated() -> dict[str, str]:
    """The text of every generated file, by its path in this folder."""
    texts = {f"cluster-{name}.yaml": _yaml(_cluster(counts)) for name, counts in FIGURES["clusters"].items()}
    for model in models():
        profiles = {"work_units": _units(model), "profiles": list(_profiles(model))}
        texts[f"{model.name}/model.yaml"] = _yaml(_graph(model))
        texts[f"{model.name}/profiles.json"] = json.dumps(profiles, indent=1) + "\n"
        for mix, share in FIGURES["mixes"].items():
            texts[f"{model.name}/workload-{mix}.yaml"] = _yaml(_workload(model, share))
    return texts


def _yaml(data: Any) -> str:
    return WRITTEN + yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=110)


def _graph(model: Model) -> dict[str, Any]:
    outputs: dict[str, Any] = {"answer": {"dtype": "BYTES", "optional": True}}
    for name, output in (("speech", "speech"), ("image_generator", "image")):
        if name in model.components:
            (tensor,) = model.outputs(name).values()
            outputs[output] = {**_port(tensor), "optional": True}
    media = {medium: {"dtype": "BYTES", "optional": True} for medium in model.media}
    return {
        "model": model.name,
        "flow": f"../flows.py:{model.family}",
        "deadline_s": 600,
        "inputs": {"text": {"dtype": "BYTES"}, **media},
        "outputs": outputs,
        "request_types": {
            kind.name: {"inputs": {name: {} for name in ("text", *kind.media)}, "outputs": list(kind.wanted)}
            for kind in model.request_types(share=0.5)
        },
        "components": {name: _component(model, name) for name in model.components},
    }


def _component(model: Model, name: str) -> dict[str, Any]:
    tensors = model.outputs(name)
    texts = {"text": {"dtype": "BYTES"}} if name == "llm" else {}
    numpy = {"FP16": "float16", "FP32": "float32", "UINT8": "uint8"}
    zeros = {port: {"dtype": numpy[t.dtype], "shape": list(t.shape)} for port, t in tensors.items()}
    return {
        "kind": _kind(name),
        "backend": "python",
        "artifact": "standin:StandIn",
        "code": ["../standin.py"],
        "settings": {"of": model.name, "tensors": zeros, "texts": list(texts)},
        "inputs": _inputs(model, name),
        "outputs": {**texts, **{port: _port(tensor) for port, tensor in tensors.items()}},
        "batching": {"max_batch_size": curve_of(name)["batches"][-1]},
    }


def _kind(component: str) -> str:
    """A talker is an llm: requests join and leave its batch one by one, and it has a cache."""
    kinds = {"llm": "llm", "speech": "llm", "image_generator": "generator"}
    return kinds.get(component, "encoder")


def _inputs(model: Model, component: str) -> dict[str, Any]:
    if component in MEDIA:
        return {MEDIA[component]: {"dtype": "BYTES"}}
    if component != "llm":
        return {"states": _port(model.outputs("llm")["states"])}
    encoders = [name for name in model.components if name in MEDIA]
    seen = {MEDIA[name]: {**_port(model.outputs(name)["states"]), "optional": True} for name in encoders}
    return {"prompt": {"dtype": "BYTES"}, **seen}


def _port(tensor: Tensor) -> dict[str, Any]:
    return {"dtype": tensor.dtype, "dims": list(tensor.shape)}


def _units(model: Model) -> dict[str, str]:
    items = {name: MEDIA.get(name, "image") + "s" for name in model.components}
    tokens = {name: "tokens in the cache" for name in model.components if _kind(name) == "llm"}
    return {f"{model.name}/{name}": unit for name, unit in {**items, **tokens}.items()}


def _profiles(model: Model) -> Iterator[dict[str, Any]]:
    for component in model.components:
        for device in FIGURES["devices"]:
            for beside in _companies(model, component, device):
                yield _profile(model, component, device, beside)


def _companies(model: Model, component: str, device: str) -> list[tuple[str, ...]]:
    """The sets of other components beside which a component is not what it is alone."""
    others = [name for name in model.components if name != component]
    sets = chain.from_iterable(combinations(others, size) for size in range(1, len(others) + 1))
    if component == "video_encoder":
        return [(), *(names for names in sets if "image_encoder" in names)]
    measured = device == "a100" and "cache_tokens" in model.components[component]
    return [(), *sets] if measured else [()]


def _profile(model: Model, component: str, device: str, beside: Sequence[str]) -> dict[str, Any]:
    facts = model.components[component]
    share, why = _share_of_a100(component, device)
    memory = model.memory(component, beside)
    sources = [f"rate: {FIGURES['rates_source']}{why}", f"batches: {curve_of(component)['source']}"]
    sources.append("memory: parameters and shapes")
    if device == "a100" and "cache_tokens" in facts:
        memory["resident_work"] = facts["cache_tokens_with_encoder" if beside else "cache_tokens"]
        sources.append("cache: public benchmark notes")
    return {
        "component": f"{model.name}/{component}",
        "device": device,
        "tensor_parallel": facts.get("tensor_parallel", 1),
        "beside": [f"{model.name}/{name}" for name in beside],
        "samples": [
            {"batch": batch, "work": model.tokens(component), "latency": float(f"{seconds / share:.6g}")}
            for batch, seconds in model.times_s(component).items()
        ],
        "memory": memory,
        "outputs": {port: {"nbytes": tensor.nbytes} for port, tensor in model.outputs(component).items()},
        "provenance": {"how": "assumed", "source": "; ".join(sources)},
    }


def _share_of_a100(component: str, device: str) -> tuple[float, str]:
    """How much of an A100's rate the device does, and why."""
    if device == "a100":
        return 1.0, ""
    binding = "bandwidth" if _kind(component) == "llm" else "compute"
    said = FIGURES[device]
    return said[binding], f", times {said[binding]} for {said[f'{binding}_source']}"


def _workload(model: Model, share: float) -> dict[str, Any]:
    types = {kind.name: _traffic(model, kind) for kind in model.request_types(share)}
    return {"rate_hz": model.rate_hz(), "request_types": types}


def _traffic(model: Model, kind: RequestType) -> dict[str, Any]:
    seconds = FIGURES["times_unloaded"] * model.unloaded_s(kind)
    varying = [name for name in kind.then if _kind(name) == "llm"]
    return {
        "share": round(kind.share, 6),
        "work": {name: {"mean": model.tokens(name), "cv": FIGURES["work_cv"]} for name in varying},
        "targets": [{"percentile": FIGURES["percentile"], "seconds": round(seconds, 3)}],
    }


def _cluster(counts: Mapping[str, int]) -> dict[str, Any]:
    nodes = {name: FIGURES["nodes"][name] for name in counts}
    used = {device for node in nodes.values() for device in node["devices"]}
    return {
        "devices": {name: facts for name, facts in FIGURES["devices"].items() if name in used},
        "nodes": {
            name: {
                "count": counts[name],
                "devices": node["devices"],
                "nic": {"gbit_s": node["nic_gbit_s"], "latency_ms": FIGURES["edge_latency_ms"]},
                "local": {"gbit_s": node["local_gbit_s"], "latency_ms": FIGURES["edge_latency_ms"]},
            }
            for name, node in nodes.items()
        },
    }


def main() -> None:
    """Writes everything."""
    for path, text in generated().items():
        (HERE / path).parent.mkdir(exist_ok=True)
        (HERE / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
