from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from corntriton.planner.elimination import cheapest


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_the_cheapest_assignment_is_that_of_trying_all(seed: int, variables: int) -> None:
    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, 4, variables)
    single = [draw.normal(size=size) for size in sizes]
    pairs = {
        (i, j): draw.normal(size=(sizes[i], sizes[j]))
        for i in range(variables)
        for j in range(i + 1, variables)
        if draw.random() < 0.6
    }

    def cost(choice: tuple[int, ...]) -> float:
        own = sum(table[k] for table, k in zip(single, choice, strict=True))
        return float(own + sum(table[choice[i], choice[j]] for (i, j), table in pairs.items()))

    least = min(map(cost, product(*(range(size) for size in sizes))))
    total, choice = cheapest(single, pairs)
    assert np.isclose(total, least)
    assert np.isclose(cost(tuple(choice)), least)
