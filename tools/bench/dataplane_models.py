"""The models that bench_dataplane.py compares, and a server that holds all of them.

Ours is what `corntriton build` makes of dataplane/*.yaml, once as it does by default and once with
`isolation: none`, so without worker processes; all others lie in dataplane/by_hand. All run the functions of
dataplane/compute.py, one instance of each stage and of whatever calls the stages.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from bench.dataplane import compute
from bench.load import Ask, Tensor

from corntriton.repository.build import build
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server
from corntriton.spec.load import load_models

SHAPES = ("chain", "diamond")
# By contestant: the Triton model, of which {} is the shape.
MODELS: Mapping[str, str] = {
    "ours": "{}",
    "public": "{}.sum",
    "ours_in_stub": "{}_in_stub",
    "public_in_stub": "{}_in_stub.sum",
    "bare": "{}_bare",
    "monolith": "{}_monolith",
    "ensemble": "{}_ensemble",
    "bls": "{}_bls",
    "async_bls": "{}_async_bls",
    "bls_8_instances": "{}_bls_8_instances",
}
_FOLDER = Path(__file__).parent / "dataplane"
_N_SEEDS = 4
MAX_BATCH = 4  # of every stage, ours and theirs: as dataplane/*.yaml say
_REQUEST = {"size": "INT64", "seed": "UINT64"}
_ANSWER = {"checksum": "UINT64"}


@dataclass(frozen=True)
class _Stage:
    """A stage's ports, by name the tensors that pass between stages."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


def _words(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "UINT64")


_STAGES = {
    "make": _Stage(_REQUEST, _words("words")),
    "rewrite": _Stage(_words("words"), _words("rewritten")),
    "last": _Stage(_words("rewritten"), _ANSWER),
    "left": _Stage(_words("words"), _words("left")),
    "right": _Stage(_words("words"), _words("right")),
    "join": _Stage(_words("left", "right"), _ANSWER),
}
_VISITS = {"chain": ("make", "rewrite", "last"), "diamond": ("make", "left", "right", "join")}


@contextmanager
def serving() -> Iterator[Server]:
    """A server with all contestants."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        declared = [_FOLDER / f"{shape}.yaml" for shape in SHAPES]
        build(load_models([*declared, *_in_stubs(declared, Path(folder) / "in_stubs")]), out)
        deployment = read_deployment(out)
        _write_by_hand(deployment.repository)
        with Server(deployment, find_launcher()) as server:
            yield server


def asks(shape: str, nbytes: int, contestant: str) -> list[Ask]:
    """Requests of several seeds that make tensors of so many bytes."""
    # Only an orchestrator's model has no batch dimension: its requests take their own paths.
    batched = contestant not in ("ours", "ours_in_stub")
    return [_ask(shape, nbytes, seed, batched) for seed in range(1, _N_SEEDS + 1)]


@cache
def _ask(shape: str, nbytes: int, seed: int, batched: bool) -> Ask:
    size, seeds = np.array([nbytes], np.int64), np.array([seed], np.uint64)
    words = compute.make(size, seeds)
    if shape == "chain":
        checksum = compute.last(compute.rewrite(words))
    else:
        checksum = compute.join(compute.left(words), compute.right(words))
    inputs = [("size", size), ("seed", seeds)]
    tensors = [Tensor.of(name, array[None] if batched else array) for name, array in inputs]
    return Ask(tensors, "checksum", checksum.tobytes().hex())


def _in_stubs(declared: Sequence[Path], folder: Path) -> list[Path]:
    """The same models with their components inside Triton's own processes."""
    shutil.copytree(_FOLDER, folder)
    written = []
    for file in declared:
        model = yaml.safe_load(file.read_text())
        model["model"] += "_in_stub"
        for component in model["components"].values():
            component["isolation"] = "none"
        written.append(folder / f"{model['model']}.yaml")
        written[-1].write_text(yaml.safe_dump(model))
    return written


def _write_by_hand(repository: Path) -> None:
    for name, stage in _STAGES.items():
        config = _python_config(stage.inputs, stage.outputs, "stage", name)
        _write_model(repository / f"hand_{name}", config, "stage.py")
    for shape in SHAPES:
        config = _python_config(_REQUEST, _ANSWER, "shape", shape)
        _write_model(repository / f"{shape}_monolith", config, "monolith.py")
        _write_model(repository / f"{shape}_bls", config, "bls.py")
        _write_model(repository / f"{shape}_bare", config, "bare.py")
        _write_model(repository / f"{shape}_async_bls", config, "async_bls.py")
        eight = _python_config(_REQUEST, _ANSWER, "shape", shape, instances=8)
        _write_model(repository / f"{shape}_bls_8_instances", eight, "bls.py")
        _write_model(repository / f"{shape}_ensemble", _ensemble_config(_VISITS[shape]))


def _write_model(folder: Path, config: str, code: str | None = None) -> None:
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(config)
    if code is not None:
        shutil.copy(_FOLDER / "by_hand" / code, folder / "1" / "model.py")
        shutil.copy(_FOLDER / "compute.py", folder / "1")


def _python_config(
    inputs: Mapping[str, str], outputs: Mapping[str, str], parameter: str, value: str, instances: int = 1
) -> str:
    return f"""backend: "python"
max_batch_size: {MAX_BATCH}
dynamic_batching {{ }}
{_ports(inputs, outputs)}instance_group [ {{ kind: KIND_CPU count: {instances} }} ]
parameters {{ key: "{parameter}" value {{ string_value: "{value}" }} }}
"""


def _ensemble_config(visits: tuple[str, ...]) -> str:
    steps = "".join(_step(name, _STAGES[name]) for name in visits)
    head = f'platform: "ensemble"\nmax_batch_size: {MAX_BATCH}\n{_ports(_REQUEST, _ANSWER)}'
    return f"{head}ensemble_scheduling {{\n{steps}}}\n"


def _step(name: str, stage: _Stage) -> str:
    maps = [f'input_map {{ key: "{tensor}" value: "{tensor}" }}' for tensor in stage.inputs]
    maps += [f'output_map {{ key: "{tensor}" value: "{tensor}" }}' for tensor in stage.outputs]
    return f'  step {{ model_name: "hand_{name}" model_version: -1 {" ".join(maps)} }}\n'


def _ports(inputs: Mapping[str, str], outputs: Mapping[str, str]) -> str:
    return "".join(
        f'{kind} {{ name: "{name}" data_type: TYPE_{dtype} dims: [ {_dim(name)} ] }}\n'
        for kind, ports in (("input", inputs), ("output", outputs))
        for name, dtype in ports.items()
    )


def _dim(name: str) -> int:
    return 1 if name in _REQUEST or name in _ANSWER else -1
