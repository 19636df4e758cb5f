"""Writes model repositories: loaded models, and perhaps a plan, in; what tritonservers load out.

    LoadedModels ─serve_components─> Served ─units─> Units ─templates─> Configs ─rules─> folders ─> DIR
                                      Plan ───┘                                                 in one step

Rules that users rely on:

- Components are `<model>__<component>`; equal ones are served once, under the first name in the alphabet.
- With a plan, executors decide what shares a process, how many instances there are, and where; see units.
- A plan for several nodes gives each a folder of its own, `DIR/<node>`, which is a build by itself. All of
  them know all models and all routes: any server takes any request, and calls the others for what it lacks.
- Weights are copied to 1/files/<name>, or linked for development on one machine; code goes to 1/code.
- Of the flow, its one file is packed.
- A plan lies beside what was built from it, as plan.json.
- The same input gives the same bytes. Nothing half-written ever stands in the target's place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path as File

from corntriton.errors import Problems
from corntriton.planner.plan import Plan
from corntriton.repository import executor_model, manifest, orchestrator_model
from corntriton.repository.hosting import Backends
from corntriton.repository.manifest import Manifest
from corntriton.repository.notes import notes_of_plan, notes_of_units, notes_without_plan
from corntriton.repository.packing import runtime_archive
from corntriton.repository.plan_check import check_plan
from corntriton.repository.publish import replacing
from corntriton.repository.roles import roles_of
from corntriton.repository.routing import Routing
from corntriton.repository.served import Served, note_collisions, serve_components
from corntriton.repository.server import Server
from corntriton.repository.templates import Templates
from corntriton.repository.units import Unit, planned, serving_name, unplanned
from corntriton.spec.load import LoadedModel, serving_names

PLAN = "plan.json"


def build(
    models: Sequence[LoadedModel],
    out: File,
    backends: Backends = "embedded",
    templates: File | None = None,
    link: bool = False,
    on_written: Callable[[int], object] = lambda total: None,
    plan: Plan | None = None,
    plan_file: str = "plan.json",
) -> Manifest:
    """Builds a repository for one server, or for each node of a plan.

    Args:
        models: What to serve; equal components of several are served once.
        out: Gets models, `manifest.json` and the plan. An earlier build there is replaced as a whole.
        backends: Of the server: `embedded` has only the Python backend and no GPU, `ngc` has them all.
        templates: A folder of templates that win over the shipped ones.
        link: Link to weights instead of copying them: for development on one machine.
        on_written: Called after each model directory, with how many there will be.
        plan: What lives together, where and how often; without one each component is by itself.
        plan_file: Where it is from, for messages.

    Raises:
        UserError: With every problem found: components that these backends cannot serve, overrides that
            are no ModelConfig, rules of Triton's that a config breaks, an `out` that holds other things,
            a plan that is not of these models.
    """
    problems = Problems()
    models = sorted(models, key=lambda model: model.name)
    served = serve_components(models, backends, problems)
    note_collisions(models, served, problems)
    for model in models:
        orchestrator_model.note_lost_imports(model, problems)
    problems.raise_if_any()
    builder = _Builder(models, served, backends, Templates(templates), link, runtime_archive(), problems)
    servers = builder.servers(plan, plan_file)
    contents = {node: server.plan(problems) for node, server in servers.items()}
    total = sum(map(len, contents.values()))
    with replacing(out, manifest.FILE) as folder:
        made = {
            node: server.write(contents[node], folder / node, lambda: on_written(total))
            for node, server in servers.items()
        }
        if plan is not None:
            plan.save(folder / PLAN)
        if len(made) == 1:
            return next(iter(made.values()))
        several = manifest.of_nodes(made)
        (folder / manifest.FILE).write_text(several.to_json(), encoding="utf-8")
    return several


class _Builder:
    """Shares models out to servers."""

    def __init__(
        self,
        models: Sequence[LoadedModel],
        served: Sequence[Served],
        backends: Backends,
        templates: Templates,
        link: bool,
        runtime: bytes,
        problems: Problems,
    ) -> None:
        self._models = models
        self._served = {each.name: each for each in served}
        self._names = serving_names(models)
        self._backends: Backends = backends
        self._templates = templates
        self._link = link
        self._runtime = runtime
        self._problems = problems

    def servers(self, plan: Plan | None, plan_file: str) -> Mapping[str, Server]:
        """By the folder below DIR: of each node of a plan; the only one lies in DIR itself.

        Raises:
            UserError: The plan does not fit.
        """
        if plan is None:
            units = unplanned(self._served.values())
            notes = (*notes_without_plan(), *notes_of_units(units, self._models))
            return {"": self._server(self._models, units, None, notes, None)}
        check_plan(plan, plan_file, self._models, self._served, self._backends, self._problems)
        self._problems.raise_if_any()
        nodes = sorted({place.node for executor in plan.executors for place in executor.instances})
        served = {node: self._units(plan, plan_file, node) for node in nodes}
        self._problems.raise_if_any()
        roles = roles_of(served)
        found = {
            node: self._of_node(node, served[node], Routing(plan, role, roles))
            for role in roles
            for node in role.nodes
        }
        return {node: found[node] for node in nodes} if len(nodes) > 1 else {"": found[nodes[0]]}

    def _units(self, plan: Plan, plan_file: str, node: str) -> list[Unit]:
        in_plan = {serving_name(each) for executor in plan.executors for each in executor.components}
        left_out = [served for name, served in self._served.items() if name not in in_plan]
        units = [*planned(plan, node, self._served, self._backends), *unplanned(left_out)]
        for unit in units:
            if unit.joint:
                executor_model.note_clashes(unit, plan_file, self._problems)
        return units

    def _of_node(self, node: str, units: Sequence[Unit], routing: Routing) -> Server:
        sha256 = hashlib.sha256(json.dumps(routing.plan.to_json(), sort_keys=True).encode()).hexdigest()
        notes = (
            *notes_of_plan(node, routing, units, self._models),
            *notes_of_units(units, self._models),
        )
        return self._server(self._models, units, routing, notes, sha256)

    def _server(
        self,
        models: Sequence[LoadedModel],
        units: Sequence[Unit],
        routing: Routing | None,
        notes: tuple[str, ...],
        sha256: str | None,
    ) -> Server:
        return Server(
            models, self._names, units, routing, self._backends, self._templates, self._runtime, self._link,
            notes, sha256,
        )  # fmt: skip
