"""How much work a call is: what is written in examples/work.yaml in, a number for each call out.

    chat: chunks                      # of a stream: one for each token, where tokens are streamed
    voice: characters of text
    asr_encoder: samples of pcm / 16000
    vision: pixels of image

The unit is what a workload's `work` of the component is in.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from corntriton.errors import Problems
from corntriton.load.examples import FOLDER
from corntriton.record.signature import Signature
from corntriton.runtime.tensors import Array
from corntriton.spec.files import Document, read_yaml
from corntriton.spec.load import LoadedModel
from corntriton.spec.validation import choose

FILE = f"{FOLDER}/work.yaml"
_MEASURE = re.compile(r"(\w+)(?: of (?:(input|output) )?(\S+))?(?: / (\d+(?:\.\d+)?))?")
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"


class UnmeasurableError(ValueError):
    """The work of a call cannot be told; the message says why."""


@dataclass(frozen=True)
class Measure:
    """Counts the work of a call.

    Attributes:
        text: As it was written; the unit, for people.
        count: What is counted: `calls`, `chunks`, or a key of COUNTS.
        side: `inputs` or `outputs`, where the port is.
        port: What it is counted in.
        per: How many of them are one unit of work.
    """

    text: str
    count: str
    side: str = ""
    port: str = ""
    per: float = 1.0

    def of(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array], chunks: int) -> float:
        """The work of one call; at least a little, since no call is for nothing.

        Raises:
            UnmeasurableError: The port's value is not what is counted.
        """
        if self.count == "calls":
            return 1.0
        if self.count == "chunks":
            return max(chunks, 1) / self.per
        value = (inputs if self.side == "inputs" else outputs).get(self.port)
        counted = 0.0 if value is None else float(COUNTS[self.count](value))
        return max(counted, 1.0) / self.per


CALLS = Measure("calls", "calls")
CHUNKS = Measure("chunks", "chunks")


def read_measures(model: LoadedModel, problems: Problems) -> dict[str, Measure]:
    """The measures that examples/work.yaml has, by component; none without such a file."""
    file = model.file.parent / FILE
    document = read_yaml(file, problems) if file.exists() else None
    if document is None:
        return {}
    if not isinstance(document.data, dict):
        document.note(problems, (), "has to be a mapping", "write a line `component: measure` for each")
        return {}
    found = {}
    for name, text in document.data.items():
        if name not in model.components:
            fix = choose(name, model.components, "remove it")
            document.note(problems, (name,), "is no component of the model", fix)
            continue
        measure = _parse(str(text), model.components[name].signature, document, name, problems)
        if measure is not None:
            found[name] = measure
    return found


def _parse(
    text: str, signature: Signature, document: Document, name: str, problems: Problems
) -> Measure | None:
    match = _MEASURE.fullmatch(text.strip())
    if match is None:
        fix = "write COUNT, COUNT of PORT, or COUNT of PORT / NUMBER, such as `samples of pcm / 16000`"
        document.note(problems, (name,), f"is {text!r}, which is no measure of work", fix)
        return None
    count, side, port, per = match[1], f"{match[2]}s" if match[2] else "", match[3] or "", match[4]
    known = ("calls", "chunks", *COUNTS)
    if count not in known:
        document.note(problems, (name,), f"counts {count!r}", choose(count, known, ""))
        return None
    if count in ("calls", "chunks"):
        return Measure(text, count, per=float(per or 1))
    sides = {"inputs": signature.inputs, "outputs": signature.outputs}
    held = [each for each in sides if port in sides[each] and side in ("", each)]
    if len(held) != 1:
        ports = [*signature.inputs, *signature.outputs]
        what = "both an input and an output" if held else "no port of the component"
        fix = f"write `{count} of input {port}` or `{count} of output {port}`"
        document.note(problems, (name,), f"names {port!r}, {what}", fix if held else choose(port, ports, ""))
        return None
    return Measure(text, count, held[0], port, float(per or 1))


def _texts(value: Array) -> list[str]:
    if value.dtype != np.object_:
        raise UnmeasurableError(f"holds {value.dtype} and no text")
    return [bytes(element).decode(errors="replace") for element in value.flat]


def _pixels(value: Array) -> int:
    """Of encoded images; of arrays, the two largest dimensions."""
    if value.dtype != np.object_:
        return int(np.prod(sorted(value.shape)[-2:]))
    return sum(width * height for width, height in map(_size, value.flat))


def _size(image: bytes) -> tuple[int, int]:
    if image.startswith(_PNG):
        width, height = struct.unpack(">II", image[16:24])
        return width, height
    if image.startswith(_JPEG):
        return _jpeg_size(image)
    raise UnmeasurableError("holds an image that is neither PNG nor JPEG")


def _jpeg_size(image: bytes) -> tuple[int, int]:
    """Goes from segment to segment up to the start of frame (ITU T.81, B.1.1.3 and B.2.2)."""
    at = 2
    while at + 9 <= len(image) and image[at] == 0xFF:
        marker, length = image[at + 1], struct.unpack(">H", image[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", image[at + 5 : at + 9])
            return width, height
        at += 2 + length
    raise UnmeasurableError("holds a JPEG without a frame")


COUNTS: Mapping[str, Callable[[Array], Any]] = {
    "characters": lambda value: sum(map(len, _texts(value))),
    "words": lambda value: sum(len(text.split()) for text in _texts(value)),
    "lines": lambda value: sum(len(text.splitlines()) for text in _texts(value)),
    "bytes": lambda value: sum(map(len, value.flat)) if value.dtype == np.object_ else value.nbytes,
    "samples": lambda value: value.shape[0],
    "items": lambda value: value.shape[0],
    "elements": lambda value: value.size,
    "pixels": _pixels,
}
