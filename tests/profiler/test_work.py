from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from corntriton.errors import Problems
from corntriton.profiler.work import COUNTS, Measure, UnmeasurableError, read_measures
from corntriton.spec.load import load_models
from tests.profiler.test_profile import TIMED


def texts(*values: bytes) -> np.ndarray:
    return np.array(values, object)


def encoded(kind: str, width: int, height: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, height)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("count", "value", "expected"),
    [
        ("characters", texts("süß".encode(), b"a"), 4),
        ("words", texts(b"two words"), 2),
        ("lines", texts(b"two\nlines"), 2),
        ("bytes", texts("süß".encode()), 5),
        ("bytes", np.zeros(3, np.float32), 12),
        ("samples", np.zeros((480, 2)), 480),
        ("elements", np.zeros((480, 2)), 960),
        ("pixels", np.zeros((3, 20, 30)), 600),
        ("pixels", texts(encoded("PNG", 20, 30), encoded("JPEG", 5, 4)), 620),
    ],
)
def test_work_is_counted_in_what_is_passed(count: str, value: np.ndarray, expected: int) -> None:
    assert COUNTS[count](value) == expected


@pytest.mark.parametrize(
    ("count", "value"),
    [
        ("words", np.zeros(2)),
        ("pixels", texts(b"GIF89a")),
        ("pixels", texts(b"\xff\xd8\xff\xe0" + struct.pack(">H", 9))),
    ],
)
def test_what_cannot_be_counted_is_said(count: str, value: np.ndarray) -> None:
    with pytest.raises(UnmeasurableError, match="holds"):
        COUNTS[count](value)


def test_a_measure_has_a_side_a_divisor_and_a_floor() -> None:
    measure = Measure("samples of pcm / 16000", "samples", "inputs", "pcm", 16000)
    assert measure.of({"pcm": np.zeros(8000)}, {}, 1) == 0.5
    assert measure.of({}, {}, 1) > 0


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("nap: words of text", "both an input and an output"),
        ("nap: words of texts", "rename it to `text`"),
        ("nap: wrds of text", "rename it to `words`"),
        ("nap: a lot", "no measure of work"),
        ("nip: calls", "rename it to `nap`"),
    ],
)
def test_a_wrong_measure_is_explained(tmp_path: Path, line: str, fault: str) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "work.yaml").write_text(line)
    for name in ("model.yaml", "flow.py", "parts.py"):
        (tmp_path / name).write_text((TIMED / name).read_text())
    problems = Problems()
    [model] = load_models([tmp_path])
    assert read_measures(model, problems) == {}
    with pytest.raises(Exception, match=fault):
        problems.raise_if_any()
