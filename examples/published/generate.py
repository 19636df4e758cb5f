"""Writes profiles and workloads of the four scenarios: `python examples/published/generate.py`.

measurements.yaml, assumptions.yaml ──parts.py──> <scenario>/profiles.json, workload[-<mix>].yaml
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any

import yaml

HERE = File(__file__).resolve().parent
# What a scenario needs beside its components is as in examples/paper: mixes, targets, load, how work varies.
sys.path[:0] = [str(HERE), str(HERE.parent / "paper")]

from figures import FIGURES  # noqa: E402
from parts import ASSUMED, COMPONENTS, GAPS, MEASURED, Component, answer_s  # noqa: E402

DEVICE, DEVICES = "a100", 8
WRITTEN = "# Written by generate.py from measurements.yaml and assumptions.yaml: change those.\n"


@dataclass(frozen=True)
class RequestType:
    """A sort of request: its share of the traffic, and the components that it visits in turn, with work."""

    share: float
    path: Mapping[str, float]

    @property
    def unloaded_s(self) -> float:
        """Time of a request that is alone."""
        return sum(COMPONENTS[name]().alone_s(work) for name, work in self.path.items())

    @property
    def device_s(self) -> float:
        """Time that it takes of devices where batches are the largest."""
        return sum(COMPONENTS[name]().item_s(work) for name, work in self.path.items())


def workloads() -> dict[str, dict[str, dict[str, RequestType]]]:
    """Request types by scenario and mix; the mix without a name is a scenario's only one."""
    image = {"llm": tokens("text"), "text_encoder": 1, "denoiser": 1, "vae_decoder": 1}
    speech = {"speech_to_text": 1, "llm": tokens("text")}
    video = {"vision_encoder": GAPS["frames"]["video"], "llm": tokens("video")}
    return {
        "text_to_image": {"": {"text_to_image": RequestType(1.0, image)}},
        "speech_to_answer": {"": {"speech_to_answer": RequestType(1.0, speech)}},
        "video_qa": {"": {"video_to_text": RequestType(1.0, video)}},
        "omni": {mix: dict(_omni(share)) for mix, share in FIGURES["mixes"].items()},
    }


def tokens(medium: str) -> float:
    """What the llm's cache holds of a request: prompt and answer."""
    return float(GAPS["prompt_tokens"][medium] + GAPS["answer_tokens"])


def _omni(share: float) -> Iterator[tuple[str, RequestType]]:
    """Either medium, silent and spoken."""
    spoken = {"talker": GAPS["talker_tokens_per_s"] * answer_s(), "vocoder": 1}
    for medium, part in GAPS["omni_media"].items():
        seen = {"vision_encoder": GAPS["frames"][medium], "llm": tokens(medium)}
        yield f"{medium}_to_text", RequestType(part * (1 - share), seen)
        yield f"{medium}_to_speech", RequestType(part * share, {**seen, **spoken})


def generated() -> dict[str, str]:
    """The text of every generated file, by its path in this folder."""
    texts = {}
    for scenario, mixes in workloads().items():
        names = dict.fromkeys(name for mix in mixes.values() for kind in mix.values() for name in kind.path)
        parts = {name: COMPONENTS[name]() for name in names}
        profiles = {
            "work_units": {f"{scenario}/{name}": part.unit for name, part in parts.items()},
            "profiles": [_profile(scenario, part) for part in parts.values()],
        }
        texts[f"{scenario}/profiles.json"] = json.dumps(profiles, indent=1) + "\n"
        # The same rate for all mixes, so that they compare.
        rate_hz = float(f"{FIGURES['load'] * DEVICES / _device_s(list(mixes.values())[-1]):.3g}")
        for mix, kinds in mixes.items():
            file = f"{scenario}/workload-{mix}.yaml" if mix else f"{scenario}/workload.yaml"
            texts[file] = WRITTEN + yaml.safe_dump(
                {"rate_hz": rate_hz, "request_types": {name: _traffic(kind) for name, kind in kinds.items()}},
                sort_keys=False,
                default_flow_style=None,
                width=110,
            )
    return texts


def _device_s(kinds: Mapping[str, RequestType]) -> float:
    return sum(kind.share * kind.device_s for kind in kinds.values())


def _profile(scenario: str, part: Component) -> dict[str, Any]:
    model = yaml.safe_load((HERE / scenario / "model.yaml").read_text(encoding="utf-8"))
    declared = model["components"][part.name]["outputs"]
    return {
        "component": f"{scenario}/{part.name}",
        "device": DEVICE,
        "samples": [
            {"batch": batch, "work": work, "latency": float(f"{seconds:.6g}")}
            for (batch, work), seconds in part.seconds.items()
        ],
        "memory": dict(part.memory),
        "outputs": {port: nbytes for port, nbytes in part.outputs.items() if port in declared},
        "provenance": {"how": "assumed" if part.guessed else "imported", "source": _source(part)},
    }


def _source(part: Component) -> str:
    """Every entry with its address, and what was filled in."""
    read = [f"{name}: {e['model']}, {e['gpu']}, {e['what']}, {e['source']}" for name, e in _entries(part)]
    filled = [f"assumed, {name}: {ASSUMED['gaps'][name]['why']}" for name in part.gaps]
    return "; ".join([*read, f"memory: {ASSUMED['shapes'][part.name]['source']}", *filled])


def _entries(part: Component) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, MEASURED[name]) for name in part.entries)


def _traffic(kind: RequestType) -> dict[str, Any]:
    varying = {name for name in kind.path if name in ("llm", "talker")}
    return {
        "share": round(kind.share, 6),
        "work": {
            name: {"mean": work, "cv": FIGURES["work_cv"]} if name in varying else work
            for name, work in kind.path.items()
        },
        "targets": [
            {
                "percentile": FIGURES["percentile"],
                "seconds": round(FIGURES["times_unloaded"] * kind.unloaded_s, 3),
            }
        ],
    }


def main() -> None:
    """Writes everything."""
    for path, text in generated().items():
        (HERE / path).parent.mkdir(exist_ok=True)
        (HERE / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
