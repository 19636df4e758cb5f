"""Decides which ports of a component pass their tensors by ref, through shared memory, and which inline.

| the port                                              | passes       |
|-------------------------------------------------------|--------------|
| of a component with a native backend                  | inline       |
| of one whose answers Triton caches: refs do not last  | inline       |
| an output of a component that streams (chunks)        | inline       |
| one text (BYTES of dims [1])                          | inline       |
| of fixed dims, less than REF_FROM_BYTES               | inline       |
| all others: large, or of a size that nobody knows     | by ref       |

The choice is the port's, made when the repository is built, never the tensor's: Triton joins only requests
that bring the same inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from corntriton.record.signature import Port
from corntriton.repository.served import Served
from corntriton.runtime.tensors import NUMPY_DTYPES
from corntriton.spec.load import LoadedModel

# Where both ways take the same time, measured by tools/bench_dataplane.py.
REF_FROM_BYTES = 16 * 1024


def ref_inputs(served: Served) -> tuple[str, ...]:
    """The inputs that orchestrators and ensembles give by ref, in their order."""
    return _by_ref(served.component.signature.inputs) if _knows_refs(served) else ()


def ref_outputs(served: Served) -> tuple[str, ...]:
    """The outputs that they take by ref."""
    signature = served.component.signature
    return _by_ref(signature.outputs) if _knows_refs(served) and not signature.streaming else ()


def arena_bytes(users: Iterable[LoadedModel]) -> int:
    """How much the arena of a process may grow that these models use: as much as the most generous says."""
    return max(model.spec.arena.max_bytes for model in users)


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


def _by_ref(ports: Mapping[str, Port]) -> tuple[str, ...]:
    return tuple(name for name, port in ports.items() if _is_large(port))


def _is_large(port: Port) -> bool:
    if port.dtype == "BYTES" and not port.list and port.dims == (1,):
        return False
    nbytes = least_bytes(port)
    return nbytes is None or nbytes >= REF_FROM_BYTES
