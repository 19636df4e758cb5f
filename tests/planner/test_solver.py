from __future__ import annotations

import random

import pulp
import pytest

from corntriton.planner.solver import NoSolutionError, solve


def market_split(rows: int = 5, columns: int = 40) -> pulp.LpProblem:
    """A small program that no solver finishes soon (Cornuéjols and Dawande)."""
    draw = random.Random(1)
    problem = pulp.LpProblem("market_split", pulp.LpMinimize)
    x = [pulp.LpVariable(f"x{j}", 0, 1, cat="Integer") for j in range(columns)]
    over = [pulp.LpVariable(f"p{i}", 0) for i in range(rows)]
    under = [pulp.LpVariable(f"m{i}", 0) for i in range(rows)]
    problem += pulp.lpSum(over) + pulp.lpSum(under)
    for i in range(rows):
        weights = [draw.randint(0, 99) for _ in x]
        total = pulp.lpSum(w * v for w, v in zip(weights, x, strict=True))
        problem += total + over[i] - under[i] == sum(weights) // 2
    return problem


def test_what_the_time_limit_ended_says_so_and_how_far_it_may_be_from_the_best() -> None:
    outcome = solve(market_split(), 0.5)
    assert not outcome.finished
    assert outcome.bound < outcome.value


def test_a_limit_of_nodes_gives_the_same_answer_each_time_and_a_bound_that_holds() -> None:
    first, second = (solve(market_split(), 60, nodes=20) for _ in range(2))
    assert first == second
    assert first.finished
    assert 0 <= first.bound < first.value


def test_a_program_that_needs_fewer_nodes_is_solved_as_without_a_limit() -> None:
    small = (market_split(rows=2, columns=12) for _ in range(2))
    assert solve(next(small), 60, nodes=10**6) == solve(next(small), 60)


def test_the_bound_has_the_sense_of_the_problem_and_its_constant() -> None:
    problem = pulp.LpProblem("p", pulp.LpMaximize)
    x = pulp.LpVariable("x", 0, 2.5, cat="Integer")
    problem += 3 * x + 1
    outcome = solve(problem, 5)
    assert (outcome.value, outcome.bound, outcome.finished) == (7.0, 7.0, True)


def test_a_contradiction_is_told_from_a_lack_of_time() -> None:
    problem = pulp.LpProblem("p", pulp.LpMinimize)
    x = pulp.LpVariable("x", 0, 1)
    problem += 1 * x
    problem += x >= 2
    with pytest.raises(NoSolutionError) as caught:
        solve(problem, 5)
    assert caught.value.proven
