"""Models without problems: what is known of them once loaded, and what they share."""

from __future__ import annotations

import shutil
from pathlib import Path as File

import pytest

from corntriton.spec.load import load_models, serving_names


def copy(sample: File, target: File, name: str, old: str = "", new: str = "") -> File:
    """A second model that uses the first one's files."""
    target.mkdir()
    shutil.copy(sample / "flow.py", target)
    text = (sample / "model.yaml").read_text().replace("model: omni", f"model: {name}").replace(old, new, 1)
    text = text.replace("backend: python", f"backend: python\n    code: [{sample}/parts.py]")
    (target / "model.yaml").write_text(text.replace("weights: weights", f"weights: {sample}/weights"))
    return target


def test_a_model_is_given_by_its_file_or_its_folder(sample: File) -> None:
    assert load_models([sample])[0].name == load_models([sample / "model.yaml"])[0].name == "omni"


def test_every_request_type_is_recorded(sample: File) -> None:
    (model,) = load_models([sample])
    visited = {name: [each.id for each in path.invocations] for name, path in model.paths.items()}
    assert visited == {
        "text_to_text": ["llm"],
        "speech_to_speech": ["asr_encoder", "asr_decoder", "llm", "tts"],
        "video_to_text": ["vision", "llm"],
    }
    assert model.facts["video_to_text"].counts == {"images": 4}
    assert model.facts["speech_to_speech"].shapes == {"audio": (16000,)}


def test_components_that_no_request_type_visits_are_known(sample: File) -> None:
    text = (sample / "model.yaml").read_text()
    start, end = text.index("  video_to_text"), text.index("components:")
    (sample / "model.yaml").write_text(text[:start] + text[end:])
    assert load_models([sample])[0].unused == ("vision",)


def test_variables_in_paths_are_expanded(
    sample: File, monkeypatch: pytest.MonkeyPatch, tmp_path: File
) -> None:
    shutil.move(sample / "weights", tmp_path / "cache")
    monkeypatch.setenv("WEIGHTS_CACHE", str(tmp_path / "cache"))
    text = (sample / "model.yaml").read_text()
    (sample / "model.yaml").write_text(text.replace("{weights: weights}", "{weights: $WEIGHTS_CACHE}"))
    assert load_models([sample])[0].components["asr_decoder"].files == {"weights": tmp_path / "cache"}


def test_equal_components_are_served_once_under_the_first_name(sample: File, tmp_path: File) -> None:
    first = copy(sample, tmp_path / "a", "zebra")
    second = copy(sample, tmp_path / "b", "ape", "max_new_tokens: 40", "max_new_tokens: 41")
    names = serving_names(load_models([first, second]))
    assert names["zebra", "tts"] == names["ape", "tts"] == "ape__tts"
    assert names["zebra", "llm"] == "zebra__llm"
    assert names["ape", "llm"] == "ape__llm"


@pytest.mark.parametrize(
    ("old", "new"),
    [("kind: vocoder", "kind: generator"), ("kind: vocoder", "kind: vocoder\n    max_in_flight: 3")],
)
def test_what_triton_does_not_see_keeps_components_equal(
    old: str, new: str, sample: File, tmp_path: File
) -> None:
    models = load_models([copy(sample, tmp_path / "a", "a"), copy(sample, tmp_path / "b", "b", old, new)])
    assert models[0].components["tts"].key == models[1].components["tts"].key


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("parts:Tts", "parts:Encoder"),
        ("kind: vocoder", "kind: vocoder\n    device: gpu"),
        ("kind: vocoder", "kind: vocoder\n    config: {version_policy: {all: {}}}"),
        ("outputs: {pcm: {dtype", "outputs: {pcm: {optional: true, dtype"),
    ],
)
def test_what_triton_sees_makes_components_differ(old: str, new: str, sample: File, tmp_path: File) -> None:
    models = load_models([copy(sample, tmp_path / "a", "a"), copy(sample, tmp_path / "b", "b", old, new)])
    assert models[0].components["tts"].key != models[1].components["tts"].key


@pytest.mark.parametrize(
    "source",
    [
        "from parts import Encoder as Vision",
        "class Vision(__import__('parts').Base): pass",
        "if True:\n    class Vision:\n        def __call__(self, items): ...",
        "class Vision:\n    __call__ = print",
        "class A:\n    def __call__(self, items): ...\nclass B(A): ...\nclass Vision(B, object): ...",
    ],
)
def test_classes_that_may_have_the_method_are_accepted_unseen(source: str, sample: File) -> None:
    (sample / "sight.py").write_text(source)
    text = (sample / "model.yaml").read_text()
    (sample / "model.yaml").write_text(text.replace("parts:Vision", "sight:Vision"))
    load_models([sample])


def test_user_code_of_components_is_not_imported(sample: File) -> None:
    (sample / "parts.py").write_text((sample / "parts.py").read_text() + "\nraise SystemExit('imported')\n")
    load_models([sample])


def test_a_package_that_is_installed_needs_no_code(sample: File) -> None:
    text = (sample / "model.yaml").read_text()
    (sample / "model.yaml").write_text(text.replace("parts:Vision", "elsewhere:Vision\n    code: []"))
    assert load_models([sample])[0].components["vision"].code == ()
