"""What becomes of a model's request types: which are compiled, under which names, and why others are not."""

from __future__ import annotations

from dataclasses import replace

from corntriton.record.path import Guard, Input, Output
from corntriton.repository.compiling import Compilation, compile_model
from corntriton.repository.edges import Sizes
from corntriton.runtime.settings import OrchestratorSettings, Route
from tests.repository.compiled_paths import calls, guarded, settings_of, target

GROWN, MIXED = Output("grow", "y"), Output("mix", "y")
CHAIN = calls(("grow", {"x": Input("x")}), ("mix", {"a": GROWN}), y=MIXED)
LONE = calls(("grow", {"x": Input("x")}), y=GROWN)


def compiled(settings: OrchestratorSettings, *taken: str) -> Compilation:
    return compile_model(settings, taken, lambda name: Sizes({}), "ngc")


def test_a_type_is_an_ensemble_for_the_orchestrator_and_one_for_clients() -> None:
    made = compiled(settings_of({"talk": CHAIN}))
    assert [(each.name, each.public) for each in made.ensembles] == [
        ("m__talk__path", False),
        ("m.talk", True),
    ]
    [route] = made.settings.compiled["talk"]
    assert route is not None
    assert made.settings.targets[route.target].model_name == "m__talk__path"
    [found] = made.types
    assert (found.routes[0].ensemble, found.routes[0].not_compiled) == ("m__talk__path", None)
    assert (found.public, found.not_public) == ("m.talk", None)


def test_why_a_type_is_none_is_kept_with_how_its_tensors_pass() -> None:
    made = compiled(settings_of({"lone": LONE}))
    assert made.ensembles == ()
    assert made.settings.compiled == {"lone": [None]}
    [found] = made.types
    [way] = found.routes
    assert way.not_compiled is not None
    assert way.not_compiled == found.not_public
    assert [edge.consumer for edge in way.edges] == ["grow.x", "response.y"]


def test_types_whose_paths_differ_in_guards_only_share_what_the_orchestrator_calls() -> None:
    short = guarded(CHAIN, Guard("parameter", "style", "short"))
    made = compiled(settings_of({"long": CHAIN, "short": short}))
    assert [each.name for each in made.ensembles] == ["m__long__path", "m.long", "m.short"]
    assert made.settings.compiled["long"] == made.settings.compiled["short"]


def test_each_route_is_compiled_and_clients_get_the_one_with_most_of_the_traffic() -> None:
    targets = {"m__mix__2": replace(target("mix"), model_name="m__mix__2")}
    routes = {
        "talk": [
            Route(0.2, {"grow": "grow", "mix": "mix"}),
            Route(0.8, {"grow": "grow", "mix": "m__mix__2"}),
        ]
    }
    made = compiled(settings_of({"talk": CHAIN}, targets, routes=routes))
    by_name = {each.name: [step.model for step in each.steps] for each in made.ensembles}
    assert by_name == {
        "m__talk__path": ["m__grow", "m__mix"],
        "m__talk__path__2": ["m__grow", "m__mix__2"],
        "m.talk": ["m__grow", "m__mix__2"],
    }
    assert [way.share for way in made.types[0].routes] == [0.2, 0.8]


def test_names_of_other_models_are_left_to_them() -> None:
    made = compiled(settings_of({"talk": CHAIN}), "m__talk__path")
    assert made.ensembles[0].name == "m__talk__path__2"


def test_a_way_is_compiled_though_another_of_the_same_path_is_not() -> None:
    joint = target("grow", members={"grow": "m__grow", "mix": "m__mix"})
    routes = {"talk": [Route(0.5, {"grow": "all", "mix": "all"}), Route(0.5, {"grow": "grow", "mix": "mix"})]}
    made = compiled(settings_of({"talk": CHAIN}, {"all": joint}, routes=routes))
    assert [route and route.target for route in made.settings.compiled["talk"]] == [None, "m__talk__path"]
    reasons = [way.not_compiled and way.not_compiled.rule for way in made.types[0].routes]
    assert reasons == ["executor", None]


def test_the_ensemble_for_clients_is_of_a_way_that_stays_on_its_server() -> None:
    far = replace(target("mix"), model_name="m__mix", server="far")
    routes = {
        "talk": [
            Route(0.9, {"grow": "grow", "mix": "m__mix@far"}),
            Route(0.1, {"grow": "grow", "mix": "mix"}),
        ]
    }
    made = compiled(settings_of({"talk": CHAIN}, {"m__mix@far": far}, routes=routes))
    assert [route and route.target for route in made.settings.compiled["talk"]] == [None, "m__talk__path"]
    assert made.types[0].public == "m.talk"
