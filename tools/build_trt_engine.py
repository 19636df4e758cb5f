#!/usr/bin/env python3
"""Builds TensorRT engines with trtexec on the machine that will run them, and keeps them by GPU and version.

    build_trt_engine.py engine model.onnx model.plan --shape pcm=1x80x1,4x80x500,8x80x3000 --precision fp16
    build_trt_engine.py repository /models /tmp/models --cache /engines

The second reads a model repository of `corntriton build --backends ngc`, in which a model that has
`1/engine.onnx` and the recipe `1/engine.json` lacks its `1/model.plan`. It makes a folder of links to the
repository in which every model has one. The repository itself may be read-only.

Standard library only: it runs inside NVIDIA's containers. Several processes may share a cache.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SOURCE, RECIPE, ENGINE = "engine.onnx", "engine.json", "model.plan"
# Where TensorRT's own containers have it, if it is not on PATH.
TRTEXEC = "/usr/src/tensorrt/bin/trtexec"
FLAGS = {"fp32": [], "fp16": ["--fp16"], "bf16": ["--bf16"], "typed": ["--stronglyTyped"]}

Shape = list[int]


class BuildError(Exception):
    """What is printed instead of a traceback."""


@dataclass(frozen=True)
class Recipe:
    """How an engine is built.

    Attributes:
        precision: One of FLAGS.
        shapes: The least, usual and largest shape of each input that may vary, batch included.
    """

    precision: str = "fp32"
    shapes: dict[str, list[Shape]] = field(default_factory=dict)

    def flags(self) -> list[str]:
        """trtexec's."""
        flags = list(FLAGS[self.precision])
        for index, kind in enumerate(("min", "opt", "max") if self.shapes else ()):
            shapes = ",".join(f"{name}:{_text(three[index])}" for name, three in self.shapes.items())
            flags.append(f"--{kind}Shapes={shapes}")
        return flags


def build_engine(onnx: Path, recipe: Recipe, cache: Path) -> Path:
    """The engine's file in the cache, built if it is not there.

    Args:
        onnx: The model; weights in files beside it belong to it.
        recipe: How.
        cache: Gets one file for each model, recipe, sort of GPU and version of TensorRT.
    """
    cache.mkdir(parents=True, exist_ok=True)
    trtexec = _program("trtexec", TRTEXEC)
    engine = cache / f"{_key(onnx, recipe, trtexec)}.plan"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two servers of one machine do not build the same at once
        if not engine.exists():
            _say(f"building {engine.name} from {onnx}")
            part = engine.with_suffix(".part")
            command = [trtexec, f"--onnx={onnx}", f"--saveEngine={part}", "--skipInference", *recipe.flags()]
            _run(command)
            part.replace(engine)
    return engine


def link_repository(repository: Path, target: Path, cache: Path) -> None:
    """Makes `target` a repository of links to another, with an engine where that has the ONNX file of one."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for model in sorted(path for path in repository.iterdir() if path.is_dir()):
        version, linked = model / "1", target / model.name
        if not (version / SOURCE).is_file():
            linked.symlink_to(model.resolve())
            continue
        engine = build_engine(version / SOURCE, read_recipe(version / RECIPE), cache)
        (linked / "1").mkdir(parents=True)
        (linked / "1" / ENGINE).symlink_to(engine.resolve())
        for other in model.iterdir():
            if other.name != "1":
                (linked / other.name).symlink_to(other.resolve())


def read_recipe(file: Path) -> Recipe:
    """What `corntriton build` wrote."""
    try:
        return Recipe(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BuildError(f"{file} is no recipe: {error}") from error


def _key(onnx: Path, recipe: Recipe, trtexec: str) -> str:
    """Names all that an engine depends on: what it is made from, for which GPU, by which TensorRT."""
    digest = hashlib.sha256()
    for flag in recipe.flags():
        digest.update(flag.encode() + b"\0")
    for file in _parts(onnx):
        digest.update(file.read_bytes())
    gpu, version = _gpu(), _version(trtexec)
    return f"{_plain(gpu)}-trt{version}-{digest.hexdigest()[:16]}"


def _parts(onnx: Path) -> Iterator[Path]:
    """The file, and those below its folder that it keeps weights in: it holds their names as they are."""
    yield onnx
    graph = onnx.read_bytes()
    for file in sorted(path for path in onnx.parent.rglob("*") if path.is_file() and path != onnx):
        if file.relative_to(onnx.parent).as_posix().encode() in graph:
            yield file


def _gpu() -> str:
    """The sort of GPU there is."""
    query = ["--query-gpu=name,compute_cap", "--format=csv,noheader"]
    sorts = sorted(set(_run([_program("nvidia-smi"), *query]).splitlines()))
    if len(sorts) != 1:
        raise BuildError(f"an engine is for one sort of GPU, and here are {', '.join(sorts) or 'none'}")
    return sorts[0]


def _version(trtexec: str) -> str:
    said = _run([trtexec, "--help"])
    found = re.search(r"\[TensorRT v(\d+)\](?: \[b(\d+)\])?", said)
    if found is None:
        raise BuildError(f"{trtexec} does not say its version")
    return ".".join(part for part in found.groups() if part)


def _program(name: str, otherwise: str | None = None) -> str:
    found = shutil.which(name) or (shutil.which(otherwise) if otherwise else None)
    if found is None:
        raise BuildError(f"there is no {name} here: run this in NVIDIA's container, with a GPU")
    return found


def _run(command: list[str]) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _shape(text: str) -> tuple[str, list[Shape]]:
    name, _, shapes = text.partition("=")
    three = [[int(size) for size in shape.split("x")] for shape in shapes.split(",")]
    if len(three) != 3:
        raise ValueError(text)
    return name, three


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("engine", help="build one engine")
    one.add_argument("onnx", type=Path)
    one.add_argument("engine", type=Path)
    one.add_argument("--precision", choices=FLAGS, default="fp32")
    shape = "NAME=1x3,4x3,8x3: the least, usual and largest shape of an input that varies"
    one.add_argument("--shape", type=_shape, action="append", default=[], metavar="SHAPES", help=shape)
    every = commands.add_parser("repository", help="link a model repository, and build its engines")
    every.add_argument("repository", type=Path)
    every.add_argument("target", type=Path)
    for each in (one, every):
        each.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "corntriton" / "engines")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Runs the command; 1, with one line of why, where it cannot be done."""
    arguments = _arguments(words)
    try:
        if arguments.command == "engine":
            recipe = Recipe(arguments.precision, dict(arguments.shape))
            shutil.copyfile(build_engine(arguments.onnx, recipe, arguments.cache), arguments.engine)
        else:
            link_repository(arguments.repository, arguments.target, arguments.cache)
    except (BuildError, OSError) as error:
        _say(f"build_trt_engine: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
