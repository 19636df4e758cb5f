"""Hosts an ONNX model: an InferenceSession per instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corntriton.record.signature import Port, Signature
from corntriton.runtime.context import Context
from corntriton.runtime.item import Item
from corntriton.runtime.stacking import run_one_by_one, run_stacked
from corntriton.runtime.tensors import Array


class OnnxComponent:
    """A component whose code is a .onnx file; the setting `intra_op_num_threads` limits its threads."""

    def __init__(self, file: Path, signature: Signature) -> None:
        self._file = file
        self._signature = signature

    def load(self, context: Context) -> None:
        """Opens the file on the instance's device."""
        import onnxruntime  # only where such a component is hosted

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(context.settings.get("intra_op_num_threads", 0))
        self._session = onnxruntime.InferenceSession(
            self._file, options, providers=_providers(context.device)
        )
        self._outputs = list(self._signature.outputs)
        self._stacks = self._has_batch_dimension()

    def __call__(self, items: Sequence[Item]) -> list[dict[str, Array]]:
        """One result per item."""
        return (run_stacked if self._stacks else run_one_by_one)(items, self._run)

    def _has_batch_dimension(self) -> bool:
        """Whether every input has one dimension more than its port.

        Raises:
            ValueError: The file's inputs or outputs are not those of the signature.
        """
        ranks = {node.name: len(node.shape) for node in self._session.get_inputs()}
        extra = {_extra_dims(name, port, ranks) for name, port in self._signature.inputs.items()}
        if extra not in ({0}, {1}):
            raise ValueError(
                "each input must have as many dims as in the file, or each one less, for a batch"
            )
        missing = set(self._outputs) - {node.name for node in self._session.get_outputs()}
        if missing:
            raise ValueError(f"the file has no output {', '.join(sorted(missing))}")
        return extra == {1}

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        feed = {name: _decoded(array) for name, array in inputs.items()}
        return dict(zip(self._outputs, self._session.run(self._outputs, feed), strict=True))


def _providers(device: str) -> list[Any]:
    if device == "cpu":
        return ["CPUExecutionProvider"]
    gpu = {"device_id": int(device.removeprefix("cuda:"))}
    return [("CUDAExecutionProvider", gpu), "CPUExecutionProvider"]


def _extra_dims(name: str, port: Port, ranks: Mapping[str, int]) -> int:
    if name not in ranks:
        raise ValueError(f"the file has no input {name}")
    return ranks[name] - len(port.dims)


def _decoded(array: Array) -> Array:
    """ONNX Runtime's strings are str."""
    if array.dtype != object:
        return array
    texts = [element.decode() for element in array.reshape(-1)]
    return np.array(texts, dtype=object).reshape(array.shape)
