"""Decides which ports of a component pass their tensors by ref, through shared memory, and which inline.

| the port                                              | passes       |
|-------------------------------------------------------|--------------|
| of a component with a native backend                  | inline       |
| of one whose answers Triton caches: refs do not last  | inline       |
| an output of a component that streams (chunks)        | inline       |
| with `memory: device`                                 | by ref       |
| one text (BYTES of dims [1])                          | inline       |
| of fixed dims, less than REF_FROM_BYTES               | inline       |
| all others: large, or of a size that nobody knows     | by ref       |

The choice is the port's, made when the repository is built, never the tensor's: Triton joins only requests
that bring the same inputs.

Between two ports with `memory: device` of components that have GPUs, the ref is one to device memory.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

from corntriton.record.signature import Port
from corntriton.repository.served import Served
from corntriton.runtime.tensors import NUMPY_DTYPES
from corntriton.spec.load import LoadedModel

# Where both ways take the same time: the chain of tools/bench_dataplane.py, built with refs and without, took
# 4.16 and 4.18 ms with edges of 16 KiB, 4.09 and 3.98 with 4, 4.22 and 4.65 with 256.
REF_FROM_BYTES = 16 * 1024


def ref_inputs(served: Served) -> tuple[str, ...]:
    """The inputs that orchestrators and ensembles give by ref, in their order."""
    component = served.component
    return _by_ref(component.signature.inputs, component.device_inputs) if _knows_refs(served) else ()


def ref_outputs(served: Served) -> tuple[str, ...]:
    """The outputs that they take by ref."""
    component = served.component
    if not _knows_refs(served) or component.signature.streaming:
        return ()
    return _by_ref(component.signature.outputs, component.device_outputs)


def dref_inputs(served: Served) -> tuple[str, ...]:
    """Those of ref_inputs that may be refs to the memory of a GPU."""
    return served.component.device_inputs if _shares_a_gpu(served) else ()


def dref_outputs(served: Served) -> tuple[str, ...]:
    """Those of ref_outputs of which there are such."""
    return served.component.device_outputs if _shares_a_gpu(served) else ()


def arena_bytes(users: Iterable[LoadedModel]) -> int:
    """How much the arena of a process may grow that these models use: as much as the most generous says."""
    return max(model.spec.arena.max_bytes for model in users)


def device_arena_bytes(users: Iterable[LoadedModel]) -> int:
    """The same of a GPU's memory; 0 where none of them says."""
    return max(model.spec.arena.device_max_bytes or 0 for model in users)


def spills(users: Iterable[LoadedModel]) -> bool:
    """Whether one of these models wants tensors that no arena could hold to pass inline."""
    return any(model.spec.arena.too_large == "inline" for model in users)


def least_bytes(port: Port) -> int | None:
    """What a tensor of the port takes; None where it varies."""
    if port.list or port.dtype == "BYTES" or any(dim < 0 for dim in port.dims):
        return None
    item_bytes = 2 if port.dtype == "BF16" else NUMPY_DTYPES[port.dtype].itemsize  # which numpy lacks
    return math.prod(port.dims) * item_bytes


def _knows_refs(served: Served) -> bool:
    cache = served.component.spec.config.get("response_cache")
    return served.hosting.host is not None and not (isinstance(cache, dict) and cache.get("enable"))


def _shares_a_gpu(served: Served) -> bool:
    return served.hosting.kind == "KIND_GPU" and _knows_refs(served)


def _by_ref(ports: Mapping[str, Port], on_device: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name, port in ports.items() if name in on_device or _is_large(port))


def _is_large(port: Port) -> bool:
    if port.dtype == "BYTES" and not port.list and port.dims == (1,):
        return False
    nbytes = least_bytes(port)
    return nbytes is None or nbytes >= REF_FROM_BYTES
