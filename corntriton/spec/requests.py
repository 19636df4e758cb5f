"""Turns a request type into the facts that recording needs, and checks it against the model's ports."""

from __future__ import annotations

from collections.abc import Mapping

from corntriton.record.facts import Facts
from corntriton.spec.files import Spot
from corntriton.spec.model import PortSpec, RequestInput, RequestType
from corntriton.spec.validation import choose


def facts_of(request_type: RequestType, inputs: Mapping[str, PortSpec]) -> Facts:
    """The facts of a request type that check_request_type found no fault with."""
    present = request_type.inputs.items()
    shapes = {name: said.shape for name, said in present if not inputs[name].list}
    counts = {name: 1 if said.count is None else said.count for name, said in present if inputs[name].list}
    return Facts(shapes, counts, frozenset(request_type.outputs), dict(request_type.parameters))


def check_request_type(
    request_type: RequestType, inputs: Mapping[str, PortSpec], outputs: Mapping[str, PortSpec], spot: Spot
) -> None:
    """Notes inputs and outputs that the model lacks, and facts that do not fit them."""
    for name, said in request_type.inputs.items():
        here = spot.at("inputs", name)
        if name not in inputs:
            here.note("is not an input of the model", choose(name, inputs, "declare it under inputs"))
        else:
            _check_input(said, inputs[name], here)
    for name, port in inputs.items():
        if not port.optional and name not in request_type.inputs:
            fix = f"add {name}: {{}}, or write optional: true at $.inputs.{name}"
            spot.at("inputs").note(f"lacks {name}, which every request has to bring", fix)
    for index, name in enumerate(request_type.outputs):
        if name not in outputs:
            what = f"{name!r} is not an output of the model"
            spot.at("outputs", index).note(what, choose(name, outputs, "declare it under outputs"))


def _check_input(said: RequestInput, port: PortSpec, spot: Spot) -> None:
    if said.count is not None and not port.list:
        fix = "remove count, or write list: true where the input is declared"
        spot.at("count").note("is given, but the input is not a list", fix)
    if said.shape is None:
        return
    if port.list:
        spot.at("shape").note("is given, but the input is a list", "give its count instead")
    elif not _fits(said.shape, port.dims):
        what = f"is {list(said.shape)}, which does not fit dims {list(port.dims)}"
        spot.at("shape").note(what, "write a shape of that rank, with those sizes where they are not -1")


def _fits(shape: tuple[int, ...], dims: tuple[int, ...]) -> bool:
    return len(shape) == len(dims) and all(dim in (-1, size) for size, dim in zip(shape, dims, strict=False))
