"""How much shared memory a server needs: the manifest's models in, the sum with its terms out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as File

from corntriton.deploy.backends import backend_of
from corntriton.deploy.packed import settings_of
from corntriton.deploy.site import SharedMemory, Term
from corntriton.repository.manifest import Manifest, ModelEntry

MIB = 2**20

# Each process of Triton's Python backend begins with this much, and grows by as much at a time:
# https://github.com/triton-inference-server/python_backend (shm-default-byte-size, shm-growth-byte-size).
STUB_BYTES = MIB
# What a process holds of tensors that are not in an arena: those of one large batch in, and out again.
INLINE_BYTES = 32 * MIB
# PyTorch and TensorRT want some for themselves; docker gives every container this much.
BASE_BYTES = 64 * MIB


def shared_memory(manifest: Manifest, repository: File, gpus: int) -> SharedMemory:
    """What /dev/shm has to hold when everything is as large as it may become.

    Args:
        manifest: Of the build.
        repository: Its models.
        gpus: What a server sees: a model without named GPUs has its instances on each.
    """
    return SharedMemory((Term("the container itself", 1, BASE_BYTES), *_terms(manifest, repository, gpus)))


def _terms(manifest: Manifest, repository: File, gpus: int) -> Iterator[Term]:
    stubs = 0
    for model in manifest.models:
        if backend_of(model) not in ("python", "vllm"):
            continue
        processes = _processes(model, gpus)
        stubs += processes
        arena_bytes = settings_of(repository, model).get("arena_bytes", 0)
        if arena_bytes:
            yield Term(f"arenas of {model.name}", processes, arena_bytes)
    yield Term("processes of Triton's Python backend, as they start", stubs, STUB_BYTES)
    yield Term("the same, for tensors that are passed inline", stubs, INLINE_BYTES)


def _processes(model: ModelEntry, gpus: int) -> int:
    on_every_gpu = model.device == "KIND_GPU" and not model.gpus
    return model.instances * (max(1, gpus) if on_every_gpu else 1)
