"""What requests hold: files below a model's folder in, values by request type out.

    examples/<request type>/<example>/<input>.<ending>
    examples/text_to_text/short/text.txt
    examples/video_to_text/gate/frames/1.png        a list input is a folder, in the order of its names

| ending  | an input of BYTES gets                | an input of numbers gets        |
|---------|---------------------------------------|---------------------------------|
| `.txt`  | the text, without newlines at its end | -                               |
| `.npy`  | -                                     | the array                       |
| `.json` | the file                              | the numbers                     |
| `.wav`  | the file                              | the samples, from -1 to 1, mono |
| others  | the file                              | -                               |

A request type without examples gets made-up requests, by dtype and dims, in three sizes.
"""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as File
from typing import Any

import numpy as np

from corntriton.errors import Problems
from corntriton.record.signature import Port
from corntriton.runtime.tensors import Array, BadValueError, as_array
from corntriton.spec.load import LoadedModel
from corntriton.spec.model import RequestType
from corntriton.spec.validation import choose

FOLDER = "examples"
# Of each dimension that may vary, in made-up values.
SYNTHETIC_LENGTHS = (16, 64, 256)
_WORD = "lorem "
_SAMPLE_DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype("u1"), 2: np.dtype("<i2"), 4: np.dtype("<i4")}


@dataclass(frozen=True)
class Example:
    """The contents of one request.

    Attributes:
        request_type: As in model.yaml.
        name: Of its folder, or `made up 64`.
        values: By input: arrays of the port's dims; lists of them for list inputs.
        synthetic: Nobody chose the values.
    """

    request_type: str
    name: str
    values: Mapping[str, Any]
    synthetic: bool = False


def find_examples(model: LoadedModel, problems: Problems) -> dict[str, list[Example]]:
    """The examples of every request type of a model; made-up ones where it has none.

    Args:
        model: The model; its examples lie beside its model.yaml.
        problems: Takes notes of files that fit no input, and of examples that lack one.
    """
    folder = model.file.parent / FOLDER
    types = model.spec.request_types
    for unknown in sorted(set(_folders(folder)) - set(types)):
        fix = choose(unknown, types, "declare the request type in model.yaml")
        problems.add(str(folder / unknown), "$", "is named after no request type", fix)
    found = {}
    for name, request_type in types.items():
        read = [
            _read(model, name, request_type, folder / name / each, problems)
            for each in _folders(folder / name)
        ]
        found[name] = read or _made_up(model, name, request_type)
    return found


def made_up(port: Port, length: int, random: np.random.Generator, count: int = 1) -> Any:
    """A value by dtype and dims: noise, or words for BYTES; every dimension that may vary is `length`."""
    if port.list:
        return [made_up(replace(port, list=False), length, random) for _ in range(count)]
    shape = [length if dim == -1 else dim for dim in port.dims]
    if port.dtype == "BYTES":
        return as_array(np.full(shape, (_WORD * length)[:length].strip(), object), port)
    if port.dtype.startswith(("FP", "BF")):
        return as_array(random.random(shape, np.float32), port)
    return as_array(random.integers(0, 2, shape).astype(bool), replace(port, dtype="BOOL")).astype(
        port.dtype.lower()
    )


def _made_up(model: LoadedModel, name: str, request_type: RequestType) -> list[Example]:
    ports, random = model.signature.ports.inputs, np.random.default_rng(0)
    made = []
    for length in SYNTHETIC_LENGTHS:
        values = {}
        for key, said in request_type.inputs.items():
            port = ports[key] if said.shape is None else replace(ports[key], dims=said.shape)
            values[key] = made_up(port, length, random, 1 if said.count is None else said.count)
        made.append(Example(name, f"made up {length}", values, synthetic=True))
    return made


def _read(
    model: LoadedModel, name: str, request_type: RequestType, folder: File, problems: Problems
) -> Example:
    values = {}
    ports = model.signature.ports.inputs
    files = {entry.name if entry.is_dir() else entry.stem: entry for entry in _visible(folder)}
    for key, entry in files.items():
        if key not in request_type.inputs:
            fix = choose(key, request_type.inputs, f"remove it, or declare the input of {name}")
            problems.add(str(entry), "$", f"is named after no input of {name}", fix)
            continue
        try:
            values[key] = _value(entry, ports[key])
        except (OSError, ValueError, EOFError, wave.Error) as error:
            what = f"is no value of the input {key}: {' '.join(str(error).split())}"
            problems.add(str(entry), "$", what, _wanted(ports[key]))
    for key in request_type.inputs:
        if key not in files:
            problems.add(str(folder), "$", f"lacks the input {key} of {name}", f"add {key}.txt, or the like")
    return Example(name, folder.name, values)


def _value(entry: File, port: Port) -> Any:
    if port.list:
        if not entry.is_dir():
            raise ValueError("a list is a folder of files")
        return [_value(file, replace(port, list=False)) for file in _visible(entry)]
    if port.dtype == "BYTES":
        content: Any = entry.read_bytes()
        if entry.suffix == ".txt":
            content = content.rstrip(b"\r\n")
    else:
        content = _numbers(entry)
    try:
        return as_array(content, port)
    except BadValueError as error:
        raise ValueError(f"it {error}") from None


def _numbers(entry: File) -> Array:
    if entry.suffix == ".npy":
        array: Array = np.load(entry, allow_pickle=False)
        return array
    if entry.suffix == ".wav":
        return _samples(entry)
    if entry.suffix == ".json":
        numbers = np.asarray(json.loads(entry.read_text(encoding="utf-8")))
        return numbers.astype(np.float32) if numbers.dtype.kind == "f" else numbers
    raise ValueError(f"{entry.suffix or 'a file without ending'} holds no numbers")


def _samples(file: File) -> Array:
    """All channels mixed; 8-bit samples are unsigned, by the format."""
    with wave.open(str(file), "rb") as sound:
        width, channels = sound.getsampwidth(), sound.getnchannels()
        if width not in _SAMPLE_DTYPES:
            raise ValueError(f"samples of {8 * width} bits are not read")
        raw = np.frombuffer(sound.readframes(sound.getnframes()), _SAMPLE_DTYPES[width])
    centred = raw.astype(np.float64) - (128 if width == 1 else 0)
    mono: Array = (centred / (1 << (8 * width - 1))).reshape(-1, channels).mean(1).astype(np.float32)
    return mono


def _wanted(port: Port) -> str:
    if port.list:
        return "make it a folder with a file for each element"
    endings = ".txt, or any file" if port.dtype == "BYTES" else ".npy, .json or .wav"
    return f"give {port.dtype} of dims {[*port.dims]} as {endings}"


def _folders(folder: File) -> list[str]:
    return [entry.name for entry in _visible(folder) if entry.is_dir()]


def _visible(folder: File) -> Iterator[File]:
    """Entries in the order of their names, numbers by their value: 2.png comes before 10.png."""
    if folder.is_dir():
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "_"))]
        yield from sorted(
            entries, key=lambda e: (0, int(e.stem), e.name) if e.stem.isdecimal() else (1, 0, e.name)
        )
