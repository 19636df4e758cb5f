"""TensorRT engines that are built where they run: a component with an ONNX file in, the recipe out.

    1/engine.onnx  1/engine.json ─tools/build_trt_engine.py─> 1/model.plan

An engine fits one sort of GPU and one version of TensorRT, which the machine that builds need not have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path as File
from typing import Any

from corntriton.spec.components import Component
from corntriton.spec.files import Spot

SOURCE, RECIPE = "engine.onnx", "engine.json"
PRECISIONS = ("fp32", "fp16", "bf16", "typed")
_SETTING, _KNOWN = "engine", ("precision", "shapes")
_EXAMPLE = "settings: {engine: {shapes: {pcm: [[80, 1], [80, 500], [80, 3000]]}}}"


def is_source(component: Component) -> bool:
    """Whether the component's artifact is what an engine is built from."""
    return component.spec.backend == "tensorrt" and component.artifact.endswith(".onnx")


def check(component: Component, spot: Spot) -> None:
    """Notes what is wrong with `settings.engine`: the precision, the shapes of inputs whose dims vary."""
    here, options = spot.at("settings", _SETTING), component.spec.settings.get(_SETTING, {})
    if not isinstance(options, Mapping) or set(options) - {*_KNOWN}:
        here.note("is not what an engine is built with", f"write {' and '.join(_KNOWN)}, as in {_EXAMPLE}")
        return
    if options.get("precision", PRECISIONS[0]) not in PRECISIONS:
        here.at("precision").note("is no precision of an engine", f"write one of {', '.join(PRECISIONS)}")
    shapes = options.get("shapes", {})
    for name, port in component.signature.inputs.items():
        given = shapes.get(name) if isinstance(shapes, Mapping) else None
        if given is None and -1 in port.dims:
            what = f"lacks {name}, whose dims {list(port.dims)} vary"
            here.at("shapes").note(what, f"give its least, usual and largest shape, as in {_EXAMPLE}")
        elif given is not None and not _fits(given, port.dims):
            what = f"is not three shapes of {list(port.dims)}"
            here.at("shapes", name).note(what, f"give the least, usual and largest, as in {_EXAMPLE}")


def write_recipe(component: Component, folder: File) -> None:
    """Writes what the tool reads: the precision, and three shapes of each input that can vary."""
    options: Any = component.spec.settings.get(_SETTING, {})
    batch = component.spec.batching.max_batch_size
    shapes = {}
    for name, port in component.signature.inputs.items():
        three = options.get("shapes", {}).get(name, [[*port.dims]] * 3)
        if batch or -1 in port.dims:
            batches = [[1], [batch], [batch]] if batch else [[], [], []]
            shapes[name] = [[*first, *shape] for first, shape in zip(batches, three, strict=True)]
    recipe = {"precision": options.get("precision", PRECISIONS[0]), "shapes": shapes}
    (folder / RECIPE).write_text(json.dumps(recipe, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _fits(given: object, dims: Sequence[int]) -> bool:
    return (
        isinstance(given, Sequence)
        and len(given) == 3
        and all(isinstance(shape, Sequence) and _is_shape(shape, dims) for shape in given)
    )


def _is_shape(shape: Sequence[object], dims: Sequence[int]) -> bool:
    return len(shape) == len(dims) and all(
        isinstance(size, int) and (size == dim or (dim == -1 and size > 0))
        for size, dim in zip(shape, dims, strict=True)
    )
