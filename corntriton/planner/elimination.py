"""Finds the cheapest assignment of choices to variables, exactly; costs of single choices and of pairs in.

Variables are eliminated one by one (bucket elimination): work and memory grow with the number of choices
to the power of the graph's treewidth plus one. A path without forks has treewidth 1; one that forks and
joins once has 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]


@dataclass(frozen=True)
class _Factor:
    """A cost that depends on some variables; the table has one axis for each, in that order."""

    variables: tuple[int, ...]
    table: Table


def cheapest(single: Sequence[Table], pairs: Mapping[tuple[int, int], Table]) -> tuple[float, list[int]]:
    """The least total cost and a choice for each variable that has it.

    Args:
        single: For each variable, the cost of each of its choices; shape [choices].
        pairs: For pairs of variables, the cost of each pair of choices; shape [choices, choices].
    """
    factors = [_Factor((number,), table) for number, table in enumerate(single)]
    factors += [_Factor(pair, table) for pair, table in pairs.items()]
    order = _order(len(single), pairs)
    buckets: list[_Factor] = []
    for variable in order:
        mine = [factor for factor in factors if variable in factor.variables]
        joined = _join(mine, variable)
        buckets.append(joined)
        factors = [factor for factor in factors if variable not in factor.variables]
        factors.append(_Factor(joined.variables[1:], joined.table.min(axis=0)))
    total = float(sum(factor.table for factor in factors))
    choice: dict[int, int] = {}
    for variable, joined in zip(reversed(order), reversed(buckets), strict=True):
        costs = joined.table
        for other in reversed(joined.variables[1:]):
            costs = costs[..., choice[other]]
        choice[variable] = int(costs.argmin())
    return total, [choice[number] for number in range(len(single))]


def _order(count: int, pairs: Mapping[tuple[int, int], Table]) -> list[int]:
    """Variables with few neighbours first; neighbours of an eliminated variable become neighbours."""
    near: dict[int, set[int]] = {variable: set() for variable in range(count)}
    for one, other in pairs:
        near[one].add(other)
        near[other].add(one)
    order = []
    while near:
        variable = min(near, key=lambda v: (len(near[v]), v))
        neighbours = near.pop(variable)
        for neighbour in neighbours:
            near[neighbour] |= neighbours - {neighbour}
            near[neighbour].discard(variable)
        order.append(variable)
    return order


def _join(factors: Sequence[_Factor], first: int) -> _Factor:
    """The sum of the factors, with the axis of `first` in front."""
    others = sorted(set(chain.from_iterable(factor.variables for factor in factors)) - {first})
    axes = (first, *others)
    total: Table = np.zeros(())
    for factor in factors:
        order = sorted(range(len(factor.variables)), key=lambda k: axes.index(factor.variables[k]))
        table = np.transpose(factor.table, order)
        shape = iter(table.shape)
        total = total + table.reshape([next(shape) if axis in factor.variables else 1 for axis in axes])
    return _Factor(axes, total)
