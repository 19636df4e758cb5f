"""For hosts of model files: items of equal shapes become a batch, its rows the items' results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from corntriton.runtime.item import Item
from corntriton.runtime.tensors import Array

Run = Callable[[Mapping[str, Array]], Mapping[str, Array]]


def run_stacked(items: Sequence[Item], run: Run) -> list[dict[str, Array]]:
    """Calls `run` once per group of items that can be stacked; its arrays have a batch dimension."""
    groups: dict[tuple[tuple[str, tuple[int, ...]], ...], list[int]] = {}
    for index, item in enumerate(items):
        shapes = tuple((name, array.shape) for name, array in sorted(item.items()))
        groups.setdefault(shapes, []).append(index)
    results: list[dict[str, Array]] = [{} for _ in items]
    for members in groups.values():
        batch = {name: np.stack([items[index][name] for index in members]) for name in items[members[0]]}
        outputs = run(batch)
        _check_rows(outputs, len(members))
        for row, index in enumerate(members):
            results[index] = {name: array[row] for name, array in outputs.items()}
    return results


def run_one_by_one(items: Sequence[Item], run: Run) -> list[dict[str, Array]]:
    """Calls `run` for each item; its arrays have no batch dimension."""
    return [dict(run(dict(item))) for item in items]


def _check_rows(outputs: Mapping[str, Array], n_rows: int) -> None:
    for name, array in outputs.items():
        if array.ndim == 0 or len(array) != n_rows:
            raise ValueError(
                f"output {name} has shape {[*array.shape]}: its first dimension is not the batch's {n_rows}"
            )
