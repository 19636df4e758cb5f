import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np

from corntriton.repository.packing import files_below, pack_code, place_weights, runtime_archive


def test_the_runtime_needs_numpy_and_nothing_else_of_ours(tmp_path: Path) -> None:
    (tmp_path / "runtime.zip").write_bytes(runtime_archive())
    (tmp_path / "numpy").symlink_to(Path(np.__file__).parent)
    (tmp_path / "numpy.libs").symlink_to(Path(np.__file__).parent.parent / "numpy.libs")
    code = """
import importlib, sys, zipfile
FAR = ("corntriton.runtime.remote", "corntriton.runtime.transfer")
sys.path[:0] = sys.argv[1:]
names = [name[:-3].replace("/", ".") for name in zipfile.ZipFile(sys.argv[1]).namelist()]
for name in names:
    try:
        importlib.import_module(name.removesuffix(".__init__"))
    except ModuleNotFoundError as error:
        others = ("tritonclient", "grpc") if name.startswith(FAR) else ()  # which such a build asks for
        assert error.name in ("triton_python_backend_utils", "torch", "onnxruntime", *others), (name, error)
ours = {name for name in sys.modules if name.split(".")[0] == "corntriton"}
rooms = {name.split(".")[1] for name in ours if "." in name}
print(sorted(rooms))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(tmp_path / "runtime.zip"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['errors', 'record', 'runtime']"


def test_the_archive_is_the_same_each_time_and_holds_sources_only() -> None:
    assert runtime_archive() == runtime_archive()
    import io

    names = zipfile.ZipFile(io.BytesIO(runtime_archive())).namelist()
    assert names == sorted(names)
    assert {name.split("/")[1] for name in names} == {"__init__.py", "errors.py", "record", "runtime"}


def test_code_is_packed_without_caches_and_hidden_files(tmp_path: Path) -> None:
    source = tmp_path / "parts"
    for file in ("a.py", "data.txt", "__pycache__/a.pyc", ".git/config", "sub/b.py", "sub/.hidden"):
        (source / file).parent.mkdir(parents=True, exist_ok=True)
        (source / file).write_text(file)
    (tmp_path / "single.py").write_text("")
    pack_code([source, tmp_path / "single.py"], tmp_path / "code")
    packed = [str(file.relative_to(tmp_path / "code")) for file in files_below(tmp_path / "code")]
    assert packed == ["parts/a.py", "parts/data.txt", "parts/sub/b.py", "single.py"]


def test_weights_are_copied_with_what_links_point_to_or_linked(tmp_path: Path) -> None:
    (tmp_path / "blob").write_text("weights")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "model.bin").symlink_to("../blob")
    place_weights(tmp_path / "cache", tmp_path / "copy" / "w", link=False)
    place_weights(tmp_path / "cache", tmp_path / "link" / "w", link=True)
    assert not (tmp_path / "copy" / "w" / "model.bin").is_symlink()
    assert os.readlink(tmp_path / "link" / "w") == str(tmp_path / "cache")
    for way in ("copy", "link"):
        assert [file.read_text() for file in files_below(tmp_path / way)] == ["weights"]
