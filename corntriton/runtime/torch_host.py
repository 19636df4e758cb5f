"""Hosts a TorchScript model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from corntriton.record.signature import Signature
from corntriton.runtime.context import Context
from corntriton.runtime.item import Item
from corntriton.runtime.stacking import run_one_by_one, run_stacked
from corntriton.runtime.tensors import Array


class TorchComponent:
    """A component whose code is a TorchScript file; the setting `intra_op_num_threads` limits its threads.

    Its forward takes the inputs in their declared order and returns the outputs so, or a dict of them.
    As with Triton's own backend, tensors have a batch dimension unless the model's max_batch_size is 0.
    """

    def __init__(self, file: Path, signature: Signature, batched: bool) -> None:
        self._file = file
        self._signature = signature
        self._batched = batched

    def load(self, context: Context) -> None:
        """Opens the file on the instance's device."""
        import torch  # only where such a component is hosted

        self._torch: Any = torch
        if "intra_op_num_threads" in context.settings:
            torch.set_num_threads(int(context.settings["intra_op_num_threads"]))
        self._device = context.device
        self._module = self._torch.jit.load(str(self._file), map_location=context.device).eval()

    def __call__(self, items: Sequence[Item]) -> list[dict[str, Array]]:
        """One result per item."""
        return (run_stacked if self._batched else run_one_by_one)(items, self._run)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        torch = self._torch
        given = [torch.from_numpy(inputs[name]) for name in self._signature.inputs if name in inputs]
        with torch.inference_mode():
            result = self._module(*(tensor.to(self._device) for tensor in given))
            return {name: tensor.cpu().numpy() for name, tensor in self._named(result).items()}

    def _named(self, result: Any) -> dict[str, Any]:
        if isinstance(result, dict):
            return result
        names = self._signature.outputs
        tensors = result if isinstance(result, (tuple, list)) else (result,)
        if len(tensors) != len(names):
            raise TypeError(f"forward returned {len(tensors)} tensors, not {len(names)}")
        return dict(zip(names, tensors, strict=True))
