"""Finds what `artifact` and `code` name, and checks that the backend can load it."""

from __future__ import annotations

import zipfile
from pathlib import Path as File

from corntriton.spec.files import Spot
from corntriton.spec.model import ComponentSpec
from corntriton.spec.paths import existing
from corntriton.spec.python_artifact import default_code
from corntriton.spec.rules import is_hub_name


def find_artifact(spec: ComponentSpec, spot: Spot) -> str | None:
    """`module:Class` and `hf:organisation/name` as they are, else an absolute path; None, noted, if wrong."""
    if spec.backend == "python" or (spec.backend == "vllm" and is_hub_name(spec.artifact)):
        return spec.artifact
    path = existing(spec.artifact, spot)
    if path is None:
        return None
    what_and_fix = _WRONG[spec.backend](path)
    if what_and_fix is None:
        return str(path)
    spot.note(*what_and_fix)
    return None


def find_code(spec: ComponentSpec, spot: Spot) -> tuple[File, ...]:
    """The files and folders to pack as a component's code; () where one is missing, which is noted."""
    if spec.backend != "python":
        return ()
    if spec.code is not None:
        found = [existing(path, spot.at("code", index)) for index, path in enumerate(spec.code)]
    elif ":" in spec.artifact:
        found = [existing(default_code(spec.artifact, spot.document.folder), spot.at("artifact"))]
    else:
        return ()
    paths = tuple(path for path in found if path is not None)
    names = [path.name for path in paths]
    for index, entry in enumerate(names):
        if entry in names[:index]:
            what = f"{entry} would overwrite the other {entry}: both go to the top of 1/code"
            spot.at("code", index).note(what, "rename one of them")
    return paths if len(paths) == len(found) else ()


def _no_file(path: File) -> tuple[str, str] | None:
    return None if path.is_file() else (f"{path} is a folder", "name the file inside it")


def _not_engine(path: File) -> tuple[str, str] | None:
    if path.is_file() and path.suffix in (".plan", ".engine", ".onnx"):
        return None
    what = f"{path.name} is neither a TensorRT engine, which ends with .plan or .engine, nor an ONNX file"
    return what, "export the model to ONNX, from which an engine is built where it runs"


def _not_torchscript(path: File) -> tuple[str, str] | None:
    try:
        with zipfile.ZipFile(path) as archive:
            if any("/code/" in name for name in archive.namelist()):
                return None
    except (OSError, zipfile.BadZipFile):
        pass
    what = f"{path.name} is not a TorchScript file"
    return what, "save the module with torch.jit.save(torch.jit.trace(module, example), file)"


def _not_vllm(path: File) -> tuple[str, str] | None:
    if (path / "config.json").is_file():
        return None
    what = f"{path} is not a folder of weights with a config.json"
    return what, "name such a folder, or write hf:organisation/name for the server to fetch"


# Of each native backend: what is wrong with a file as its artifact, and what to do; None where nothing is.
_WRONG = {
    "onnxruntime": _no_file,
    "pytorch": _not_torchscript,
    "tensorrt": _not_engine,
    "vllm": _not_vllm,
}
