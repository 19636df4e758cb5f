"""Turns figures.yaml into what a plan needs of each model: times, tokens, memory, outputs, request types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from pathlib import Path as File
from typing import Any

import yaml

FIGURES = yaml.safe_load((File(__file__).resolve().parent / "figures.yaml").read_text(encoding="utf-8"))
ENCODERS = {"image": "image_encoder", "video": "video_encoder", "audio": "audio_encoder"}
MEDIA = {component: medium for medium, component in ENCODERS.items()}
HALF = 2  # bytes of a bf16 value
GENERATED_IMAGE_BYTES = 3 * 2**30  # of memory while one image is made; assumed


@dataclass(frozen=True)
class Tensor:
    """An output of one item."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Its size."""
        return prod(self.shape) * {"FP16": 2, "FP32": 4, "UINT8": 1}[self.dtype]


@dataclass(frozen=True)
class RequestType:
    """A sort of request: the media it brings, the outputs it wants, and its share of the traffic."""

    name: str
    media: tuple[str, ...]
    wanted: tuple[str, ...]
    share: float

    @property
    def encoders(self) -> list[str]:
        """The components it visits first, side by side."""
        return [ENCODERS[medium] for medium in self.media]

    @property
    def then(self) -> list[str]:
        """The components it visits next, one after the other."""
        last = {"speech": ["speech"], "image": ["image_generator"]}
        return ["llm", *last.get(self.wanted[-1], [])]


@dataclass(frozen=True)
class Model:
    """A model of figures.yaml, with the rates of the paper's table by component."""

    name: str
    facts: Mapping[str, Any]
    rates_hz: Mapping[str, float]

    @property
    def components(self) -> Mapping[str, Mapping[str, Any]]:
        """Facts by component."""
        found: Mapping[str, Mapping[str, Any]] = self.facts["components"]
        return found

    @property
    def family(self) -> str:
        """Its flow."""
        if "speech" in self.components:
            return "omni"
        return "drawing" if "image_generator" in self.components else "vision"

    @property
    def media(self) -> list[str]:
        """What it has encoders for."""
        return [MEDIA[name] for name in self.components if name in MEDIA]

    def medium(self, name: str) -> Mapping[str, Any]:
        """What one item of a medium is."""
        found: Mapping[str, Any] = FIGURES["media"][self.facts["media"]][name]
        return found

    def tokens(self, component: str) -> int:
        """Tokens that a request holds in the component's cache; 1 for components without one."""
        if component == "llm":
            return self.prompt_tokens + self.answer_tokens
        if component != "speech":
            return 1
        return int(self.answer_tokens + FIGURES["speech"]["seconds"] * FIGURES["speech"]["tokens_per_s"])

    @property
    def prompt_tokens(self) -> int:
        """Of a mean request, media included: the table's rate is of such requests, not of one type."""
        seen = sum(self.medium(medium)["tokens"] * FIGURES["parts"][medium] for medium in self.media)
        return int(FIGURES["prompt_tokens"] + seen)

    @property
    def answer_tokens(self) -> int:
        """None where the llm only encodes the prompt of an image."""
        return 0 if self.family == "drawing" else int(FIGURES["answer_tokens"])

    def times_s(self, component: str) -> dict[int, float]:
        """Seconds of a batch on A100, by size: the table's rate at the largest, the curve's shape below."""
        batches = curve_of(component)["batches"]
        shape = {batch: self._published_s(component, batch) for batch in batches}
        largest = batches[-1]
        scale = largest / self.rates_hz[component] / shape[largest]
        return {batch: scale * seconds for batch, seconds in shape.items()}

    def _published_s(self, component: str, batch: int) -> float:
        """Seconds that what was published gives for a batch like this."""
        curve = curve_of(component)
        if component == "llm":
            decode_s = batch * self.answer_tokens / _rate_hz(curve["decode_tokens_per_s"], batch)
            return float(batch * self.prompt_tokens / curve["prefill_tokens_per_s"] + decode_s)
        like = batch * self._worth(component)
        return like / _rate_hz(_rates(curve), like)

    def _worth(self, component: str) -> float:
        """How many items of the published measurement one item of ours is like."""
        curve = curve_of(component)
        if component in MEDIA:
            return float(self.medium(MEDIA[component])["patches"] / curve["per_item"])
        return (
            float(FIGURES["image_size"] ** 2 / curve["per_item"]) if component == "image_generator" else 1.0
        )

    def unloaded_s(self, request_type: RequestType) -> float:
        """Time of a request that is alone on A100: encoders work side by side, the rest in turn."""
        encoding_s = [self.times_s(component)[1] for component in request_type.encoders]
        return max(encoding_s, default=0.0) + sum(
            self.times_s(component)[1] for component in request_type.then
        )

    def memory(self, component: str, beside: Sequence[str]) -> dict[str, Any]:
        """Bytes of weights, of an item in a batch, of a token in a cache; beside others on its devices."""
        facts = self.components[component]
        weights = int(facts["params_b"] * 1e9 * HALF)
        if component in MEDIA:
            values = self.medium(MEDIA[component])["patches"] * facts["width"]
            shared = component == "video_encoder" and "image_encoder" in beside  # they are one
            item_bytes = values * HALF * FIGURES["activations"]
            return {"weights_bytes": 0 if shared else weights, "item_bytes": item_bytes}
        if component == "image_generator":
            return {"weights_bytes": weights, "item_bytes": GENERATED_IMAGE_BYTES}
        token_bytes = facts["layers"] * facts["kv_heads"] * facts["head"] * 2 * HALF
        return {"weights_bytes": weights, "work_bytes": token_bytes}

    def outputs(self, component: str) -> dict[str, Tensor]:
        """The tensors that a component makes of one item."""
        hidden = self.facts["hidden"]
        if component in MEDIA:
            medium = self.medium(MEDIA[component])
            return {"states": Tensor("FP16", (medium["tokens"], hidden * medium.get("levels", 1)))}
        if component == "llm":
            return {"states": Tensor("FP16", (self.answer_tokens or self.prompt_tokens, hidden))}
        if component == "speech":
            return {"pcm": Tensor("FP32", (FIGURES["speech"]["seconds"] * FIGURES["speech"]["hz"],))}
        return {"pixels": Tensor("UINT8", (FIGURES["image_size"], FIGURES["image_size"], 3))}

    def request_types(self, share: float) -> list[RequestType]:
        """The request types of a mix, in which `share` of the requests want what the mix varies."""
        return list({"omni": _omni, "vision": _vision, "drawing": _drawing}[self.family](share))

    def rate_hz(self) -> float:
        """The same for all mixes, so that they compare: see `load` in figures.yaml."""
        device_s = sum(
            kind.share * self.components[name].get("tensor_parallel", 1) / self.rates_hz[name]
            for kind in self.request_types(FIGURES["mixes"]["two_thirds"])
            for name in (*kind.encoders, *kind.then)
        )
        return float(f"{FIGURES['load'] * 8 / device_s:.3g}")


def models() -> list[Model]:
    """All of them."""
    return [Model(name, facts, FIGURES["rates"][name]) for name, facts in FIGURES["models"].items()]


def curve_of(component: str) -> dict[str, Any]:
    """The published measurement that says how a component batches."""
    name = "vision" if component in MEDIA else {"image_generator": "generator"}.get(component, component)
    found: dict[str, Any] = FIGURES["batching"][name]
    return found


def _rates(curve: Mapping[str, Any]) -> Mapping[int, float]:
    """Items a second, by batch."""
    rates: Mapping[int, float] | None = curve.get("items_per_s")
    return rates or {batch: batch / latency * 1e3 for batch, latency in curve["latency_ms"].items()}


def _rate_hz(rates: Mapping[int, float], batch: float) -> float:
    """The rate at a batch; times of batches are linear between published ones, rates constant beyond."""
    sizes = sorted(rates)
    batch = min(max(batch, sizes[0]), sizes[-1])
    above = next(size for size in sizes if size >= batch)
    below = max(size for size in sizes if size <= batch)
    part = (batch - below) / (above - below) if above > below else 0.0
    low_s, high_s = below / rates[below], above / rates[above]
    return batch / (low_s + (high_s - low_s) * part)


def _omni(share: float) -> Iterator[RequestType]:
    """Every set of media that a request may bring, silent and spoken."""
    parts = FIGURES["parts"]
    for size in range(1, len(parts) + 1):
        for media in combinations(parts, size):
            chance = prod(part if medium in media else 1 - part for medium, part in parts.items())
            if chance:
                name = "_".join(media)
                yield RequestType(f"{name}_to_text", media, ("answer",), chance * (1 - share))
                yield RequestType(f"{name}_to_speech", media, ("answer", "speech"), chance * share)


def _vision(share: float) -> Iterator[RequestType]:
    parts = FIGURES["parts"]
    yield RequestType("text_to_text", (), ("answer",), 1 - share)
    for medium in ("image", "video"):
        part = parts[medium] / (parts["image"] + parts["video"])
        yield RequestType(f"{medium}_to_text", (medium,), ("answer",), share * part)


def _drawing(share: float) -> Iterator[RequestType]:
    yield RequestType("text_to_text", (), ("answer",), 1 - share)
    yield RequestType("text_to_image", (), ("image",), share)
