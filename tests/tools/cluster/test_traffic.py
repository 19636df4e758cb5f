"""The bytes that a plan's routes take from node to node."""

from __future__ import annotations

from dataclasses import replace

from cluster.network import Counters
from cluster.traffic import Flow, at_the_door, measured, predicted

from corntriton.planner.demand import Edge
from corntriton.planner.plan import Plan
from corntriton.spec.load import LoadedModel
from tests.repository.crossing import crossing_models, two

SPEECH = "tiny/text_to_speech"


def planned() -> tuple[LoadedModel, Plan]:
    models = crossing_models()
    plan = two(models)
    edges = (Edge("compose", "tell", 100), Edge("tell", "voice", 1000))
    demands = tuple(replace(each, edges=edges if each.name == SPEECH else ()) for each in plan.demands)
    return next(each for each in models if each.name == "tiny"), replace(plan, demands=demands)


def test_edges_count_where_they_cross_and_as_often_as_their_routes_are_taken() -> None:
    # Half of the requests compose where they tell; tell and voice are always together.
    _, plan = planned()
    assert predicted(plan, {SPEECH: 8}) == {"n-0": Flow(out=400), "n-1": Flow(into=400)}


def test_inputs_go_to_where_they_are_taken_and_answers_come_from_where_they_are_made() -> None:
    model, plan = planned()
    sizes = {"text": 10, "story": 200, "speech": 3000}
    alike = {"n-0": ["n-0"], "n-1": ["n-1"]}
    path = model.paths["text_to_speech"]
    assert at_the_door(plan, path, SPEECH, "n-0", sizes, alike) == {
        "n-0": Flow(out=5, into=3200),
        "n-1": Flow(out=3200, into=5),
    }
    assert at_the_door(plan, path, SPEECH, "n-1", sizes, alike) == {
        "n-0": Flow(into=5),
        "n-1": Flow(out=5),
    }


def test_what_is_measured_is_what_counters_have_gained() -> None:
    assert measured({"a": Counters(1, 2)}, {"a": Counters(11, 22)}) == {"a": Flow(out=20, into=10)}
