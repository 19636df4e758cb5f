"""Plans whose routes lead over several nodes, for models of tests/e2e/models, and their builds.

    python -m tests.repository.crossing two|three|twins OUT

| plan  | n-0                       | n-1                                    | n-2                      |
|-------|---------------------------|----------------------------------------|--------------------------|
| two   | what comes first, compose | compose, tell and voice in one process |                          |
| three | the same                  | the same                               | tell and voice, apart    |
| twins | the same                  | what three has on n-2                  | the same: one role, n-1  |

`compose` has half of its requests on each node that has it. Large tensors of `passing` go from n-0 to others.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from corntriton.planner.plan import Executor, Place, Plan, Stop
from corntriton.repository.build import build
from corntriton.spec.load import LoadedModel, load_models
from tests.repository.hand_plans import executor, hand_plan

MODELS = Path(__file__).parents[1] / "e2e" / "models"
FIRST = ["tiny/listen", "tiny/caption", "tiny/compose", "tiny/shout", "passing/fill", "passing/turn"]
LAST = ["tiny/tell", "tiny/voice", "passing/count", "passing/invert"]
SPOKEN = "compose+tell+voice@cpu"


def crossing_models() -> list[LoadedModel]:
    return load_models([MODELS / "tiny", MODELS / "passing"])


def two(models: Sequence[LoadedModel]) -> Plan:
    executors = [*_on(FIRST, "n-0"), _spoken(), *_on(LAST[2:], "n-1")]
    near = dict.fromkeys(LAST[:2], SPOKEN) | _names(FIRST, LAST[2:])
    return hand_plan(models, executors, [(0.5, near), (0.5, {**near, "tiny/compose": SPOKEN})])


def three(models: Sequence[LoadedModel]) -> Plan:
    executors = [*_on(FIRST, "n-0"), _spoken(), *_on(LAST, "n-2")]
    near = _names(FIRST, LAST)
    spoken = dict.fromkeys(("tiny/compose", "tiny/tell", "tiny/voice"), SPOKEN)
    return hand_plan(models, executors, [(0.5, near), (0.5, {**near, **spoken})])


def twins(models: Sequence[LoadedModel]) -> Plan:
    executors = [*_on(FIRST, "n-0"), *_on(LAST, "n-1", "n-2")]
    ways = [(0.5, {**_names(FIRST), **{name: Stop(name, node) for name in LAST}}) for node in ("n-1", "n-2")]
    return hand_plan(models, executors, ways)


PLANS = {"two": two, "three": three, "twins": twins}


def _spoken() -> Executor:
    return executor(SPOKEN, ["tiny/compose", "tiny/tell", "tiny/voice"], [Place("n-1", (0,))])


def _on(components: Sequence[str], *nodes: str) -> list[Executor]:
    """One executor for each component, on each of the nodes."""
    return [executor(name, [name], [Place(node, (0,)) for node in nodes]) for name in components]


def _names(*groups: Sequence[str]) -> dict[str, str]:
    return {name: name for group in groups for name in group}


if __name__ == "__main__":
    chosen, out = sys.argv[1:]
    build(crossing_models(), Path(out), plan=PLANS[chosen](crossing_models()))
