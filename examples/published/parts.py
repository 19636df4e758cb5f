"""Turns published measurements into what a plan needs of a component: times, memory, outputs, sources.

measurements.yaml (published), assumptions.yaml (shapes; gaps, with reasons) ──> a Component for each name
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path as File

import numpy as np
import yaml

HERE = File(__file__).resolve().parent
MEASURED = yaml.safe_load((HERE / "measurements.yaml").read_text(encoding="utf-8"))
ASSUMED = yaml.safe_load((HERE / "assumptions.yaml").read_text(encoding="utf-8"))
SHAPES = ASSUMED["shapes"]
GAPS = {name: gap.get("value") for name, gap in ASSUMED["gaps"].items()}
HALF = 2  # bytes of a 16-bit value
GB = 1e9
WINDOWS = (
    1,
    2,
    4,
    8,
    16,
)  # frames of a vision encoder's item, and items of its batch: all products are measured

Seconds = dict[tuple[int, float], float]  # of a batch, by its size and the work of each item


@dataclass(frozen=True)
class Component:
    """What a plan needs of one component on one A100.

    Attributes:
        name: As in model.yaml.
        unit: What one unit of its work is.
        seconds: Of a batch.
        memory: As in profiles.json.
        outputs: Bytes by port: of each item, or of each unit of its work.
        entries: Of measurements.yaml, that the figures are from.
        gaps: Of assumptions.yaml, that had to be filled.
    """

    name: str
    unit: str
    seconds: Seconds
    memory: Mapping[str, float]
    outputs: Mapping[str, Mapping[str, float]]
    entries: tuple[str, ...]
    gaps: tuple[str, ...] = field(default=())

    @property
    def guessed(self) -> bool:
        """Whether times were filled in, and not read alone."""
        return any(gap.startswith(self.name) for gap in self.gaps)

    def alone_s(self, work: float) -> float:
        """Time of an item that is alone: linear between measured works, in proportion to a single one."""
        points = sorted((at, seconds) for (batch, at), seconds in self.seconds.items() if batch == 1)
        if len(points) == 1:
            return points[0][1] * work / points[0][0]
        return float(np.interp(work, *zip(*points, strict=True)))

    def item_s(self, work: float) -> float:
        """Time that an item takes of the device in the largest batch."""
        largest = max(batch for batch, _ in self.seconds)
        points = sorted((at, seconds) for (batch, at), seconds in self.seconds.items() if batch == largest)
        works, seconds = zip(*points, strict=True)
        scale = work / works[0] if len(works) == 1 else 1.0
        return float(np.interp(work, works, seconds)) * scale / largest


def llm() -> Component:
    """Llama-2-7B: what so many requests at once take from end to end, by the length of their prompts.

    The measured rate holds prompts' processing too: n requests at v tokens a second end after n x tokens / v.
    """
    seconds: Seconds = {}
    entries = ("llm_no_prompt", "llm_short_prompt", "llm_long_prompt")
    for name in entries:
        said = MEASURED[name]
        tokens = said["input_tokens"] + said["output_tokens"]
        for sample in said["samples"]:
            seconds[sample["batch"], tokens] = sample["batch"] * said["output_tokens"] / sample["value"]
    memory = {"weights_bytes": _weights("llm"), "work_bytes": token_bytes("llm")}
    states = GAPS["answer_tokens"] * SHAPES["llm"]["hidden"] * HALF
    gaps = ("prompt_tokens", "answer_tokens")
    return Component(
        "llm", "tokens in the cache", seconds, memory, {"states": {"nbytes": states}}, entries, gaps
    )


def vision_encoder() -> Component:
    """ViT-L/16: an item is an image or the frames of a video, which fill a device like as many images."""
    ms = _by_batch("vision_encoder")
    seconds = {(items, float(frames)): ms[items * frames] / 1e3 for items in WINDOWS for frames in WINDOWS}
    shape = SHAPES["vision_encoder"]
    states = shape["patches"] * shape["width"] * HALF
    memory = {"weights_bytes": _weights("vision_encoder"), "work_bytes": states * GAPS["activations"]}
    outputs = {"states": {"nbytes_per_work": states}}
    return Component(
        "vision_encoder", "frames", seconds, memory, outputs, ("vision_encoder",), ("frames", "activations")
    )


def text_encoder() -> Component:
    """The CLIP text tower of Stable Diffusion 1.x."""
    shape = SHAPES["text_encoder"]
    states = shape["tokens"] * shape["width"] * HALF
    memory = {"weights_bytes": _weights("text_encoder"), "item_bytes": states * GAPS["activations"]}
    seconds = {(batch, 1.0): ms / 1e3 for batch, ms in _text_ms().items()}
    entries = ("text_encoder", "text_encoder_batches")
    gaps = ("text_encoder_batches", "activations")
    return Component(
        "text_encoder", "prompts", seconds, memory, {"states": {"nbytes": states}}, entries, gaps
    )


def denoiser() -> Component:
    """The UNet of Stable Diffusion 1.x, 50 steps: what 25 more steps took, twice."""
    seconds = {(batch, 1.0): 2 * ms / 1e3 for batch, ms in _half_ms().items()}
    latent = prod(SHAPES["denoiser"]["latent"]) * HALF
    memory = {"weights_bytes": _weights("denoiser"), "item_bytes": _slope_bytes("image_memory", 64, 128)}
    entries = ("image_50_steps", "image_25_steps", "image_memory")
    return Component("denoiser", "images", seconds, memory, {"latent": {"nbytes": latent}}, entries)


def vae_decoder() -> Component:
    """The decoder of Stable Diffusion 1.x, with all of the pipeline that is neither UNet nor text encoder."""
    text_ms, half_ms = _text_ms(), _half_ms()
    batches, times_ms = zip(*sorted(text_ms.items()), strict=True)
    seconds = {
        (batch, 1.0): (ms - half_ms[batch] - float(np.interp(batch, batches, times_ms))) / 1e3
        for batch, ms in _by_batch("image_25_steps").items()
    }
    memory = {"weights_bytes": _weights("vae_decoder"), "item_bytes": _slope_bytes("image_memory", 8, 16)}
    outputs = {"pixels": {"nbytes": prod(SHAPES["vae_decoder"]["pixels"])}}
    entries = ("image_50_steps", "image_25_steps", "text_encoder", "image_memory")
    return Component("vae_decoder", "images", seconds, memory, outputs, entries)


def speech_to_text() -> Component:
    """Whisper large-v3 in an engine that lets clips in and out one by one, as an llm's does."""
    (rate,) = (s for s in MEASURED["speech_to_text_rate"]["samples"] if s["work"] == "librispeech_clean")
    rates_hz = {s["concurrency"]: s["value"] for s in MEASURED["speech_to_text_batches"]["samples"]}
    fastest = max(rates_hz, key=rates_hz.__getitem__)
    scale = rate["value"] / GAPS["speech_to_text_clip_s"] / rates_hz[fastest]
    seconds = {(n, 1.0): n / (rate_hz * scale) for n, rate_hz in rates_hz.items() if n <= fastest}
    memory = {
        "weights_bytes": _weights("speech_to_text"),
        "work_bytes": _slope_bytes("speech_to_text_memory", 1, 8),
    }
    entries = ("speech_to_text_rate", "speech_to_text_batches", "speech_to_text_memory")
    return Component(
        "speech_to_text",
        "clips",
        seconds,
        memory,
        {},
        entries,
        ("speech_to_text_clip_s", "speech_to_text_batches"),
    )


def talker() -> Component:
    """CosyVoice2's llm: 26 utterances in rounds of a batch."""
    audio_s, utterances = 170, 26
    tokens = GAPS["talker_tokens_per_s"] * audio_s / utterances
    seconds = {
        (s["batch"], tokens): s["batch"] * s["llm_s"] / utterances for s in MEASURED["talker"]["samples"]
    }
    memory = {"weights_bytes": _weights("talker"), "work_bytes": token_bytes("talker")}
    shape = SHAPES["vocoder"]
    outputs = {"mels": {"nbytes": shape["mels"] * round(shape["mels_per_s"] * answer_s()) * HALF}}
    gaps = ("talker_device", "talker_tokens_per_s", "utterances")
    return Component("talker", "speech tokens in the cache", seconds, memory, outputs, ("talker",), gaps)


def vocoder() -> Component:
    """FastPitch and HiFi-GAN: an item is a spoken answer, which is several of the measured utterances."""
    each = GAPS["utterances"]
    seconds = {(batch // each, 1.0): s for batch, s in _by_batch("vocoder").items() if batch % each == 0}
    shape = SHAPES["vocoder"]
    samples = int(answer_s() * shape["hz"])
    item_bytes = samples * shape["channels"] * HALF * GAPS["activations"]
    memory = {"weights_bytes": int(GAPS["vocoder_weights_gb"] * GB), "item_bytes": item_bytes}
    gaps = ("utterances", "vocoder_mels", "vocoder_weights_gb", "activations")
    return Component(
        "vocoder", "answers", seconds, memory, {"pcm": {"nbytes": samples * HALF}}, ("vocoder",), gaps
    )


def answer_s() -> float:
    """Length of a spoken answer."""
    return float(GAPS["utterances"] * 8.05)


def token_bytes(name: str) -> int:
    """Bytes of a token in an llm's cache."""
    shape = SHAPES[name]
    return int(shape["layers"] * shape["kv_heads"] * shape["head"] * 2 * HALF)


def _weights(name: str) -> int:
    return int(SHAPES[name]["params_b"] * 1e9 * HALF)


def _by_batch(entry: str, column: str = "value") -> dict[int, float]:
    return {s["batch"]: s[column] for s in MEASURED[entry]["samples"] if s.get(column) is not None}


def _slope_bytes(entry: str, one: int, other: int) -> int:
    """Memory of one item more."""
    gb = _by_batch(entry, "memory_gb")
    return round((gb[other] - gb[one]) / (other - one) * GB)


def _half_ms() -> dict[int, float]:
    """Of 25 steps of the UNet, by batch."""
    more, less = _by_batch("image_50_steps"), _by_batch("image_25_steps")
    return {batch: more[batch] - less[batch] for batch in less}


def _text_ms() -> dict[int, float]:
    """Of the text encoder, by batch: the A100's for one, the other GPU's in proportion for more."""
    like = _by_batch("text_encoder_batches")
    scale = _by_batch("text_encoder")[1] / like[1]
    return {batch: ms * scale for batch, ms in like.items()}


COMPONENTS: dict[str, Callable[[], Component]] = {
    make.__name__: make
    for make in (
        llm, vision_encoder, text_encoder, denoiser, vae_decoder, speech_to_text, talker, vocoder,
    )
}  # fmt: skip
