r"""Chooses how many instances of each candidate stand in each group of nodes: a mixed-integer program.

Multicommodity network design. Each request type is a commodity that flows through its path; a device group
that is opened as an executor is a facility with a capacity per resource.

Indices and data
    t        request types, with rate  \lambda_t  (1/s)
    i        invocations of t, with runs per request  k_ti  and job  j(t,i)
    (i, i')  edges of t, with  b  bytes per request
    c        candidates: device type  d_c,  group size  s_c,  shares  u_crj  that one run/s of job j takes of
             resource r (time, cache) of one instance
    g        groups of equal nodes:  |g|  nodes with  D_gd  devices each, NIC  W_g  and local  L_g  bytes/s
    \rho     the ceiling;  p_d  the cost of a device

Variables
    n_cg     instances of c in g, integer
    z_d      devices of type d in use, integer
    y_ticg   rate of requests of t whose invocation i runs on c in g
    m        multiple of the workload that is served: 1, or to be maximised
    v_tecg   of edge e: rate of requests whose producer runs on c in g, and whose consumer does not
    o_teg    ... whose producer runs in g, and whose consumer does not;  a_teg  the other way round
    x_g      bytes/s between nodes of g, where g is not uniform

Objectives, in order; each stage keeps the last one's value
    cost      min  \sum_d p_d z_d                           or   served   max  m
    changes   min  \sum_cg | n_cg - running_cg |
    bytes     min  \sum_tecg b_e v_tecg  +  (w - 1) (\sum_teg b_e o_teg + \sum_g x_g),    w: CROSS_NODE_WEIGHT

Constraints
    demand    \sum_cg y_ticg = \lambda_t m                                        for each t, i
    capacity  \sum_ti k_ti u_{c,r,j(t,i)} y_ticg <= \rho n_cg                      for each c, g, r
    devices   \sum_{c on d} s_c n_cg <= |g| D_gd                                    for each g, d
    packing   \sum_{c on d, s_c >= h} n_cg <= |g| floor(D_gd / h)                    for each g, d, size h > 1
    counting  \sum_{c on d, g} s_c n_cg = z_d                                       for each d
    moving    v_tecg >= y_ticg - y_ti'cg                                           for each e = (i, i'), c, g
              o_teg >= \sum_c (y_ticg - y_ti'cg);  a_teg >= \sum_c (y_ti'cg - y_ticg)   for each e, g
    local     \sum_te b_e (\sum_c v_tecg - o_teg) - x_g <= |g| L_g                  for each g
    NIC       \sum_te b_e o_teg + x_g <= |g| W_g;   \sum_te b_e a_teg + x_g <= |g| W_g

Routes are columns of the program in `routes`, which is solved for the n found here. This program has their
marginals y in place of the routes: fewer variables by orders of magnitude, and nothing is lost where a path,
seen without directions, has no cycle. There, couplings of the two ends of each edge that keep as much as
possible in place (which is what v, o and a measure) glue together to routes along the tree. Paths that fork
and join again may need more than their marginals show: then `routes` finds that the n given do not carry
the demand, and answers with a cut on n (a Benders cut, `cuts`); until it finds nothing, the bound holds.
Where no edge can ever fill a link, the first stages leave out everything about moving (`moving` adds it), and
sum y over invocations with the same job.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulp

from corntriton.planner.demand import Demand, Job
from corntriton.planner.groups import Group
from corntriton.planner.sizing import Candidate
from corntriton.spec.cluster import Cluster

Cell = tuple[int, int]  # candidate, group


@dataclass(frozen=True)
class Cut:
    """What the instances of every workable plan satisfy: sum of weight x n >= per_multiple x m + always."""

    weights: Mapping[Cell, float]
    per_multiple: float
    always: float


@dataclass(frozen=True)
class Question:
    """What the program is asked.

    Attributes:
        demands: The request types.
        candidates: The executor types.
        groups: The nodes.
        cluster: For costs.
        ceiling: Share of each resource that may be used.
        maximise: Maximise the served multiple, instead of serving the workload once at least cost.
        device_limit: Most devices to use, by type; a type that is not named: all that the nodes have.
        running: Instances of a running plan, by candidate and node.
        cuts: What earlier rounds learnt.
        one_topology: Each component belongs to one set of components only.
        only: The candidates that may be used; None: all.
        locality: Of what passes between executors of a group whose nodes are not told apart, the share that
            is hoped to stay on a node. 1 gives bounds that hold; less is for where that hope was in vain.
    """

    demands: Sequence[Demand]
    candidates: Sequence[Candidate]
    groups: Sequence[Group]
    cluster: Cluster
    ceiling: float
    maximise: bool = False
    device_limit: Mapping[str, int] | None = None
    running: Mapping[tuple[int, str], int] | None = None
    cuts: tuple[Cut, ...] = ()
    one_topology: bool = False
    only: frozenset[int] | None = None
    locality: float = 1.0


@dataclass(frozen=True)
class Flow:
    """A commodity on its way through one invocation; or everything that is the same job."""

    job: Job
    rate_hz: float
    runs: float


def flows_by_invocation(demands: Sequence[Demand]) -> list[Flow]:
    """One flow for each invocation of each request type, in order."""
    return [Flow(i.job, demand.rate_hz, i.runs) for demand in demands for i in demand.invocations]


def flows_by_job(demands: Sequence[Demand]) -> list[Flow]:
    """One flow for each job: all that matters where nothing that moves can fill a link."""
    rates: dict[Job, float] = defaultdict(float)
    for flow in flows_by_invocation(demands):
        rates[flow.job] += flow.rate_hz * flow.runs
    return [Flow(job, rate, 1.0) for job, rate in rates.items()]


class Network:
    """The program without what moves: variables n, z, y, m and the constraints on them.

    Attributes:
        problem: The PuLP problem; it has no objective yet.
        n: Instances by cell.
        z: Devices in use by type.
        y: For each flow, its rate by cell.
        m: The served multiple.
    """

    def __init__(self, question: Question, flows: Sequence[Flow]) -> None:
        self.question = question
        self.flows = flows
        self.problem = pulp.LpProblem("plan", pulp.LpMinimize)
        self.n = self._instances()
        self.z = self._device_counts()
        self.y = [self._shares(number, flow) for number, flow in enumerate(flows)]
        self.m = pulp.LpVariable("m", *((0, None) if question.maximise else (1, 1)))
        self._demand()
        self._capacity()
        self._devices()
        if question.one_topology:
            self._one_topology()
        if question.running is None:
            self._order_equal_nodes()
        for cut in question.cuts:
            terms = [(self.n[cell], weight) for cell, weight in cut.weights.items()]
            self.problem += pulp.LpAffineExpression(terms) - cut.per_multiple * self.m >= cut.always

    @property
    def cost(self) -> pulp.LpAffineExpression:
        """Cost per hour of the devices in use."""
        devices = self.question.cluster.devices
        return pulp.LpAffineExpression([(z, devices[name].cost_per_hour) for name, z in self.z.items()])

    def changes(self) -> pulp.LpAffineExpression:
        """Instances to start and to stop; adds the variables it needs."""
        differences = []
        for cell, count in self.n.items():
            difference = pulp.LpVariable(f"d_{cell[0]}_{cell[1]}", 0)
            running = self._running(cell)
            self.problem += difference >= count - running
            self.problem += difference >= running - count
            differences.append(difference)
        return pulp.lpSum(differences)

    def _running(self, cell: Cell) -> int:
        running = self.question.running or {}
        return sum(running.get((cell[0], node), 0) for node in self.question.groups[cell[1]].nodes)

    def counts(self) -> dict[Cell, int]:
        """The instances of the solution, zeros left out."""
        found = {cell: round(variable.varValue or 0) for cell, variable in self.n.items()}
        return {cell: count for cell, count in found.items() if count}

    def _instances(self) -> dict[Cell, pulp.LpVariable]:
        found = {}
        only = self.question.only
        for c, candidate in enumerate(self.question.candidates):
            if only is not None and c not in only:
                continue
            for g, group in enumerate(self.question.groups):
                if group.node_class in candidate.node_classes:
                    most = group.size * (group.devices[candidate.device] // candidate.group)
                    found[c, g] = pulp.LpVariable(f"n_{c}_{g}", 0, most, cat="Integer")
        return found

    def _device_counts(self) -> dict[str, pulp.LpVariable]:
        limit = self.question.device_limit or {}
        found = {}
        for number, device in enumerate(self.question.cluster.devices):
            most = sum(group.size * group.devices.get(device, 0) for group in self.question.groups)
            most = min(limit.get(device, most), most)
            found[device] = pulp.LpVariable(f"z_{number}", 0, most, cat="Integer")
        return found

    def _shares(self, number: int, flow: Flow) -> dict[Cell, pulp.LpVariable]:
        cells = [cell for cell in self.n if self.question.candidates[cell[0]].runs(flow.job)]
        return {cell: pulp.LpVariable(f"y_{number}_{cell[0]}_{cell[1]}", 0) for cell in cells}

    def _demand(self) -> None:
        for flow, shares in zip(self.flows, self.y, strict=True):
            self.problem += pulp.lpSum(shares.values()) - flow.rate_hz * self.m == 0

    def _capacity(self) -> None:
        load: dict[tuple[Cell, str], list[tuple[pulp.LpVariable, float]]] = defaultdict(list)
        for flow, shares in zip(self.flows, self.y, strict=True):
            for cell, share in shares.items():
                for resource, uses in self.question.candidates[cell[0]].uses.items():
                    if uses.get(flow.job):
                        load[cell, resource].append((share, flow.runs * uses[flow.job]))
        for (cell, _), terms in load.items():
            self.problem += pulp.LpAffineExpression(terms) - self.question.ceiling * self.n[cell] <= 0

    def _devices(self) -> None:
        candidates = self.question.candidates
        used: dict[str, list[tuple[pulp.LpVariable, int]]] = {device: [] for device in self.z}
        for g, group in enumerate(self.question.groups):
            for device, each in group.devices.items():
                cells = [cell for cell in self.n if cell[1] == g and candidates[cell[0]].device == device]
                terms = [(self.n[cell], candidates[cell[0]].group) for cell in cells]
                used[device] += terms
                if terms:
                    self.problem += pulp.LpAffineExpression(terms) <= group.size * each
                for size in sorted({size for _, size in terms} - {1}):
                    large = pulp.lpSum(n for n, own in terms if own >= size)
                    self.problem += large <= group.size * (each // size)
        for device, terms in used.items():
            self.problem += pulp.LpAffineExpression([*terms, (self.z[device], -1)]) == 0

    def _one_topology(self) -> None:
        sets = sorted({candidate.components for candidate in self.question.candidates})
        chosen = {names: pulp.LpVariable(f"s_{k}", 0, 1, cat="Integer") for k, names in enumerate(sets)}
        for component in sorted({name for names in sets for name in names}):
            self.problem += pulp.lpSum(chosen[names] for names in sets if component in names) == 1
        for (c, _), count in self.n.items():
            self.problem += count - count.upBound * chosen[self.question.candidates[c].components] <= 0

    def _order_equal_nodes(self) -> None:
        """Of single nodes that are alike, an earlier one holds what sorts first: order means nothing."""
        groups = self.question.groups
        for g in range(len(groups) - 1):
            if groups[g].size == groups[g + 1].size == 1 and groups[g].node_class == groups[g + 1].node_class:
                here = [(n, c + 1) for (c, h), n in self.n.items() if h == g]
                there = [(n, -c - 1) for (c, h), n in self.n.items() if h == g + 1]
                self.problem += pulp.LpAffineExpression([*here, *there]) >= 0
