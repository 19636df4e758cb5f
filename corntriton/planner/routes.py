r"""Finds the best routes over given instances: a linear program with routes as columns, priced exactly.

A route assigns every invocation of a request type to a cell: an executor type in a group of nodes. Equal
cells are the same instance, and what passes between them does not move.

    minimise   \sum_t short_t,   then   \sum_r w_r x_r + (w - 1) \sum_g x_g,   then   the busiest link
    demand     \sum_{r of t} x_r + short_t = \lambda_t                          for each t
    capacity   \sum_r u_{r,cell,resource} x_r <= \rho n_cell                    for each cell and resource
    links      \sum_r b_{r,link} x_r  (- x_g locally, + x_g on NICs)  <= W_link   for each group and link

x_g, bytes between the nodes of a group that is not uniform, is as in `milp`. There are far too many routes
to list, so they are generated: the duals price every cell and link, the cheapest route at these prices is
found exactly (`elimination`), whatever the shape of the path, and joins the program if it improves it.
When none does, the program is solved over all routes there are.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
import pulp

from corntriton.planner.elimination import Table, cheapest
from corntriton.planner.groups import CROSS_NODE_WEIGHT
from corntriton.planner.milp import Cell
from corntriton.planner.site import LOCAL, WEIGHTS, Column, Link, Site, links_between
from corntriton.planner.solver import solve

ROUNDS = 1000
TOLERANCE = 1e-7
TIME_LIMIT_S = 60.0  # of one linear program; they take milliseconds
BYTES = "bytes"


@dataclass(frozen=True)
class Routing:
    """The best routes over the instances of a site.

    Attributes:
        rates: Requests per second by route.
        short_hz: Requests per second, all types together, that the instances cannot carry.
        weighted_megabytes: Moved per second.
        busiest: Load of the busiest link, as a share.
        prices: Of the first stage: what one more of each capacity would save.
    """

    rates: dict[Column, float]
    short_hz: float
    weighted_megabytes: float = 0.0
    busiest: float = 0.0
    prices: dict[Hashable, float] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether everything is carried, within the solver's precision."""
        return self.short_hz <= 1e-5 * (sum(self.rates.values()) + self.short_hz)


def best_routes(site: Site) -> Routing:
    """The routes that carry all, move least, then load links evenly; as much as can be, if not all can."""
    program = _Program(site)
    short, prices = program.run("short")
    if short > TOLERANCE * max(1.0, sum(d.rate_hz for d in site.demands)):
        routing = Routing(program.rates(), short, prices=prices)
        if not routing.complete:
            return routing
    program.short_limit = short
    program.byte_limit, _ = program.run(BYTES)
    busiest, _ = program.run("busiest")
    return Routing(program.rates(), short, program.byte_limit, busiest, prices)


def served_multiple(site: Site) -> float:
    """The largest multiple of all rates that the instances carry."""
    return -_Program(site).run("served")[0]


class _Program:
    """The linear program over the routes generated so far."""

    def __init__(self, site: Site) -> None:
        self.short_limit = 0.0
        self.byte_limit: float | None = None
        self._site = site
        self._slack_hz = TOLERANCE * max(1.0, sum(demand.rate_hz for demand in site.demands))
        self._links = site.links()
        self._capacities = site.capacities()
        self._choices = [site.choices(t) for t in range(len(site.demands))]
        self._columns: dict[Column, float] = {}
        self._loads: dict[Column, dict[Hashable, float]] = {}

    def rates(self) -> dict[Column, float]:
        """The solution's routes."""
        return {column: rate for column, rate in self._columns.items() if rate > 1e-9}

    def run(self, stage: str) -> tuple[float, dict[Hashable, float]]:
        """Solves one stage over all routes; its value and the duals."""
        if not self._columns:
            self._add_cheapest({}, stage)
        for _ in range(ROUNDS):
            value, prices = self._solve(stage)
            if not self._add_cheapest(prices, stage):
                break
        return value, prices

    def _solve(self, stage: str) -> tuple[float, dict[Hashable, float]]:
        problem = pulp.LpProblem(stage, pulp.LpMinimize)
        x = {column: pulp.LpVariable(f"x_{k}", 0) for k, column in enumerate(self._columns)}
        served = pulp.LpVariable("m", 0)
        busiest = pulp.LpVariable("busiest", 0, 1)
        short = [pulp.LpVariable(f"short_{t}", 0) for t in range(len(self._site.demands))]
        crossing = {
            g: pulp.LpVariable(f"cross_{g}", 0, 0 if group.uniform else None)
            for g, group in enumerate(self._site.groups)
        }
        terms: dict[Hashable, list[tuple[pulp.LpVariable, float]]] = {}
        for column, variable in x.items():
            for row, amount in self._loads[column].items():
                terms.setdefault(row, []).append((variable, amount))
        moved = pulp.LpAffineExpression(terms.pop(BYTES, []))
        moved += (CROSS_NODE_WEIGHT - 1) * pulp.lpSum(crossing.values())
        rows: dict[Hashable, pulp.LpConstraint] = {}
        for t, demand in enumerate(self._site.demands):
            carried = pulp.LpAffineExpression(terms.get(t, []))
            if stage == "served":
                rows[t] = carried - demand.rate_hz * served == 0
            else:
                rows[t] = carried + short[t] == demand.rate_hz
        for row, limit in self._capacities.items():
            if row in terms:
                rows[row] = pulp.LpAffineExpression(terms[row]) <= limit
        for link, limit in self._links.items():
            used = pulp.LpAffineExpression(terms.get(link, []))
            used += (-1 if link[1] == LOCAL else 1) * crossing[link[0]]
            rows[link] = used - limit * busiest <= 0
        if stage != "short":
            rows["short"] = pulp.lpSum(short) <= self.short_limit + self._slack_hz
        if stage == "busiest" and self.byte_limit is not None:
            # Wide enough for what the solver's tolerance on rates makes of megabytes.
            rows[BYTES] = moved <= self.byte_limit * (1 + 1e-4) + 1e-4
        objectives = {"short": pulp.lpSum(short), "served": -1 * served, BYTES: moved, "busiest": 1 * busiest}
        problem += objectives[stage]
        for number, (_, constraint) in enumerate(rows.items()):
            problem.addConstraint(constraint, f"r_{number}")
        value = solve(problem, TIME_LIMIT_S).value
        self._columns = {column: max(variable.varValue or 0.0, 0.0) for column, variable in x.items()}
        return value, {row: constraint.pi or 0.0 for row, constraint in rows.items()}

    def _add_cheapest(self, prices: dict[Hashable, float], stage: str) -> bool:
        """Adds, for each request type, the route that would improve the program most; False if none would."""
        added = False
        for t, choices in enumerate(self._choices):
            if not all(choices):
                continue
            cost, column = self._cheapest(t, choices, prices, stage)
            if column not in self._columns and (not prices or cost < prices[t] - TOLERANCE):
                self._columns[column] = 0.0
                self._loads[column] = self._rows_of(column)
                added = True
        return added

    def _rows_of(self, column: Column) -> dict[Hashable, float]:
        rows: dict[Hashable, float] = {column.demand: 1.0, BYTES: self._site.weight(column)}
        for row, amount in (*self._site.load(column).items(), *self._site.traffic(column).items()):
            rows[row] = amount
        return rows

    def _cheapest(
        self, t: int, choices: list[list[Cell]], prices: dict[Hashable, float], stage: str
    ) -> tuple[float, Column]:
        demand, candidates = self._site.demands[t], self._site.candidates
        single: list[Table] = []
        for invocation, cells in zip(demand.invocations, choices, strict=True):
            costs = [
                -invocation.runs
                * sum(
                    uses.get(invocation.job, 0.0) * prices.get((cell, resource), 0.0)
                    for resource, uses in candidates[cell[0]].uses.items()
                )
                for cell in cells
            ]
            single.append(np.array(costs))
        weight = (1.0 if stage == BYTES else 0.0) - prices.get(BYTES, 0.0)
        index = {invocation.id: number for number, invocation in enumerate(demand.invocations)}
        pairs: dict[tuple[int, int], Table] = {}
        for edge in demand.edges:
            i, j = index[edge.producer], index[edge.consumer]
            per_megabyte = self._price_of_moving(choices[i], choices[j], prices, weight)
            pairs[i, j] = per_megabyte * (edge.nbytes / 1e6)
        cost, chosen = cheapest(single, pairs)
        return cost, Column(t, tuple(cells[k] for cells, k in zip(choices, chosen, strict=True)))

    def _price_of_moving(
        self, ones: list[Cell], others: list[Cell], prices: dict[Hashable, float], weight: float
    ) -> Table:
        def price(link: Link) -> float:
            return weight * WEIGHTS[link[1]] - prices.get(link, 0.0)

        return np.array([[sum(map(price, links_between(a, b))) for b in others] for a in ones])
