import struct

import convert
import numpy as np
import pytest


def text(value):
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


def tensor(name, array, code):
    dims = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
    return text(name) + dims + struct.pack("<BI", code, array.nbytes) + array.tobytes()


def model(version=6):
    weight = np.arange(6, dtype=np.float16).reshape(2, 3)
    head = struct.pack("<I", version) + text("WhisperSpec") + struct.pack("<II", 3, 1)
    return (
        head + tensor("layer/weight", weight, 4) + struct.pack("<I", 1) + text("alias") + text("layer/weight")
    )


def test_tensors_and_aliases_of_a_ctranslate2_model_are_read():
    tensors = convert.read_ctranslate2(model())
    assert tensors["layer/weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tensors["alias"] is tensors["layer/weight"]


def test_another_version_of_the_format_is_refused():
    with pytest.raises(ValueError, match="format 5"):
        convert.read_ctranslate2(model(version=5))
