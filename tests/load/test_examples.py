from __future__ import annotations

import shutil
import wave
from pathlib import Path

import numpy as np
import pytest

from corntriton.errors import Problems, UserError
from corntriton.load.examples import find_examples, made_up
from corntriton.record.signature import DTYPES, Port
from corntriton.spec.load import LoadedModel, load_models
from tests.load.conftest import TINY


@pytest.fixture
def model(tmp_path: Path) -> LoadedModel:
    for file in TINY.iterdir():
        if file.is_file():
            shutil.copy(file, tmp_path)
    [loaded] = load_models([tmp_path])
    return loaded


def put(model: LoadedModel, path: str, content: bytes) -> None:
    file = model.file.parent / "examples" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def found(model: LoadedModel) -> dict:  # type: ignore[type-arg]
    problems = Problems()
    examples = find_examples(model, problems)
    problems.raise_if_any()
    return examples


def test_files_become_values_and_a_list_is_a_folder_in_the_order_of_numbers(model: LoadedModel) -> None:
    put(model, "video_to_text/gate/text.txt", "Grüße\n".encode())
    for number in (10, 9):
        put(model, f"video_to_text/gate/images/{number}.png", b"image %d" % number)
    [example] = found(model)["video_to_text"]
    assert example.name == "gate"
    assert not example.synthetic
    assert example.values["text"].tolist() == ["Grüße".encode()]
    assert [image.tolist() for image in example.values["images"]] == [[b"image 9"], [b"image 10"]]


@pytest.mark.parametrize(("width", "loudest"), [(1, 127 / 128), (2, 32767 / 32768), (4, 1.0)])
def test_sound_becomes_samples_of_all_channels_together(
    model: LoadedModel, tmp_path: Path, width: int, loudest: float
) -> None:
    top = 255 if width == 1 else (1 << (8 * width - 1)) - 1
    frames = b"".join(value.to_bytes(width, "little") for value in (top, top))
    with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(width)
        file.setframerate(16000)
        file.writeframes(frames)
    put(model, "speech_to_text/one/audio.wav", (tmp_path / "sound.wav").read_bytes())
    [example] = found(model)["speech_to_text"]
    assert example.values["audio"].tolist() == pytest.approx([loudest])
    assert example.values["audio"].dtype == np.float32


def test_arrays_and_json_become_numbers(model: LoadedModel, tmp_path: Path) -> None:
    np.save(tmp_path / "audio.npy", np.ones(3, np.float32))
    put(model, "speech_to_text/array/audio.npy", (tmp_path / "audio.npy").read_bytes())
    put(model, "speech_to_text/json/audio.json", b"[0.5, 1]")
    values = {each.name: each.values["audio"].tolist() for each in found(model)["speech_to_text"]}
    assert values == {"array": [1, 1, 1], "json": [0.5, 1]}


def test_a_type_without_examples_gets_made_up_ones_of_its_shape(model: LoadedModel) -> None:
    examples = found(model)["video_to_text"]
    assert all(each.synthetic for each in examples)
    assert {len(each.values["images"]) for each in examples} == {4}
    assert len({len(each.values["text"][0]) for each in examples}) == 3


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != "BF16"])
def test_values_can_be_made_up_for_every_dtype(dtype: str) -> None:
    value = made_up(Port(dtype, (2, -1)), 16, np.random.default_rng(0))
    assert value.shape == (2, 16)


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("speech_to_test/one/audio.npy", "rename it to `speech_to_text`"),
        ("speech_to_text/one/audoi.npy", "rename it to `audio`"),
        ("speech_to_text/one/audio.mp3", ".mp3 holds no numbers"),
        ("speech_to_text/one/audio.wav", "is no value of the input audio"),
        ("text_to_text/one/readme/x", "lacks the input text"),
        ("video_to_text/one/images.png", "a list is a folder of files"),
    ],
)
def test_what_fits_nothing_is_explained(model: LoadedModel, path: str, fault: str) -> None:
    put(model, path, b"x")
    with pytest.raises(UserError, match=fault):
        found(model)
