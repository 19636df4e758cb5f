"""Weights in other engines' formats become transformers folders: CTranslate2 (Whisper), GGUF (SmolLM2)."""

import os
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TQDM_DISABLE="1")

import numpy as np
import torch
import transformers

LAYERS = 6  # of Whisper base, on either side
CTRANSLATE2_DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def whisper(model: bytes, folder: Path) -> None:
    """Writes a CTranslate2 Whisper base (`model.bin`) as half-precision safetensors with its config."""
    config = transformers.WhisperConfig(
        vocab_size=51865,
        d_model=512,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        encoder_ffn_dim=2048,
        decoder_ffn_dim=2048,
    )
    result = transformers.WhisperForConditionalGeneration(config)
    result.load_state_dict(dict(_whisper_state(read_ctranslate2(model))))
    result.half().save_pretrained(folder)


def smollm(gguf: Path, folder: Path) -> None:
    """Writes a GGUF language model as bfloat16 safetensors, with its tokenizer."""
    source = {"gguf_file": gguf.name, "local_files_only": True}
    transformers.AutoTokenizer.from_pretrained(gguf.parent, **source).save_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **source)
    del model.config.quantization_config
    plain = type(model)(model.config).to(torch.bfloat16)  # not marked as quantised, so it can be saved
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(folder)


def read_ctranslate2(model: bytes) -> dict[str, torch.Tensor]:
    """Tensors by name from CTranslate2's binary format, version 6.

    Layout: https://github.com/OpenNMT/CTranslate2/blob/master/python/ctranslate2/specs/model_spec.py
    """
    file = BytesIO(model)

    def number(code: str) -> int:
        return struct.unpack(f"<{code}", file.read(struct.calcsize(code)))[0]

    def text() -> str:
        return file.read(number("H"))[:-1].decode()  # ends with a zero byte

    def tensor() -> torch.Tensor:
        dims = [number("I") for _ in range(number("B"))]
        dtype = CTRANSLATE2_DTYPES[number("B")]
        return torch.from_numpy(np.frombuffer(file.read(number("I")), dtype).reshape(dims).astype(np.float32))

    version, _spec, _revision = number("I"), text(), number("I")
    if version != 6:
        raise ValueError(f"CTranslate2 format {version}; this reads format 6")
    tensors = {text(): tensor() for _ in range(number("I"))}
    aliases = {text(): text() for _ in range(number("I"))}
    return {**tensors, **{alias: tensors[name] for alias, name in aliases.items()}}


def _whisper_state(source: dict[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    """The same tensors under the names that transformers gives them."""
    embeddings = source["decoder/embeddings/weight"]
    yield "model.decoder.embed_tokens.weight", embeddings
    yield "proj_out.weight", embeddings
    for side in ("encoder", "decoder"):
        yield f"model.{side}.embed_positions.weight", source[f"{side}/position_encodings/encodings"]
    for ours, theirs in _whisper_modules():
        weight = source.get(f"{theirs}/weight", source.get(f"{theirs}/gamma"))
        bias = source.get(f"{theirs}/bias", source.get(f"{theirs}/beta"))
        # CTranslate2 fuses projections that read the same input: `q_proj|k_proj|v_proj` are slices of one.
        stem, _, last = ours.rpartition(".")
        names = last.split("|")
        for name, w, b in zip(names, weight.chunk(len(names)), bias.chunk(len(names)), strict=True):
            yield f"{stem}.{name}.weight", w.clone()
            if name != "k_proj":  # Whisper's keys have no bias
                yield f"{stem}.{name}.bias", b.clone()


def _whisper_modules() -> Iterator[tuple[str, str]]:
    """Pairs of transformers' and CTranslate2's names."""
    for conv in ("conv1", "conv2"):
        yield f"model.encoder.{conv}", f"encoder/{conv}"
    for side in ("encoder", "decoder"):
        yield f"model.{side}.layer_norm", f"{side}/layer_norm"
        for i in range(LAYERS):
            ours, theirs = f"model.{side}.layers.{i}", f"{side}/layer_{i}"
            yield f"{ours}.self_attn_layer_norm", f"{theirs}/self_attention/layer_norm"
            yield f"{ours}.self_attn.q_proj|k_proj|v_proj", f"{theirs}/self_attention/linear_0"
            yield f"{ours}.self_attn.out_proj", f"{theirs}/self_attention/linear_1"
            if side == "decoder":
                yield f"{ours}.encoder_attn_layer_norm", f"{theirs}/attention/layer_norm"
                yield f"{ours}.encoder_attn.q_proj", f"{theirs}/attention/linear_0"
                yield f"{ours}.encoder_attn.k_proj|v_proj", f"{theirs}/attention/linear_1"
                yield f"{ours}.encoder_attn.out_proj", f"{theirs}/attention/linear_2"
            yield f"{ours}.final_layer_norm", f"{theirs}/ffn/layer_norm"
            yield f"{ours}.fc1", f"{theirs}/ffn/linear_0"
            yield f"{ours}.fc2", f"{theirs}/ffn/linear_1"
