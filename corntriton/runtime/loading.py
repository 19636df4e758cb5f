"""Makes and loads the component that a version folder holds."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from corntriton.record.signature import Signature
from corntriton.runtime.context import Context
from corntriton.runtime.onnx_host import OnnxComponent
from corntriton.runtime.settings import ComponentSettings
from corntriton.runtime.tensors import NUMPY_DTYPES
from corntriton.runtime.torch_host import TorchComponent


def load_component(settings: ComponentSettings, context: Context, folder: Path) -> Any:
    """The component, ready to be called; raises whatever its own code raises.

    Raises:
        TypeError: It lacks the method that its declaration needs, or a port's dtype cannot be hosted.
    """
    _check_ports(settings.signature)
    component = _make(settings, folder)
    method = "stream" if settings.signature.streaming else "__call__"
    if not callable(getattr(component, method, None)):
        kind = "streaming" if settings.signature.streaming else "not streaming"
        raise TypeError(f"{settings.artifact} has no method {method}, which a component that is {kind} needs")
    if hasattr(component, "load"):
        component.load(context)
    return component


def _check_ports(signature: Signature) -> None:
    for name, port in [*signature.inputs.items(), *signature.outputs.items()]:
        if port.dtype not in NUMPY_DTYPES:
            raise TypeError(
                f"{name} is {port.dtype}, which numpy does not have; declare it as FP32 or UINT16"
            )


def _make(settings: ComponentSettings, folder: Path) -> Any:
    if settings.host == "onnxruntime":
        return OnnxComponent(folder / settings.artifact, settings.signature)
    if settings.host == "torch":
        batched = settings.max_batch_size > 0
        return TorchComponent(folder / settings.artifact, settings.signature, batched)
    sys.path.insert(0, str(folder / "code"))
    module, _, name = settings.artifact.partition(":")
    return getattr(importlib.import_module(module), name)()
