"""What ensembles hold, and, on random flows, that they compute what the flow does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from corntriton.record.direct import run_directly
from corntriton.record.evaluate import evaluate
from corntriton.record.flow import Flow
from corntriton.record.path import Const, Element, Guard, Input, Items, Output, Path
from corntriton.repository.ensemble_rules import ENSEMBLE_RULES
from corntriton.repository.ensembles import Ensemble, private_ensemble, public_ensemble
from corntriton.repository.faults import Surroundings
from corntriton.repository.obstacles import private_obstacle, public_obstacle
from corntriton.repository.ways import Way, uses_of
from corntriton.runtime.settings import REF, Target
from tests.record import plainly, programs
from tests.record.test_properties import straight
from tests.repository.compiled_paths import calls, config_of, guarded, member_configs, run, target, way_of

GROWN = Output("grow", "y")
CHAIN = calls(("grow", {"x": Input("x")}), ("mix", {"a": GROWN}), y=Output("mix", "y"))


def steps(ensemble: Ensemble) -> list[tuple[dict[str, str], dict[str, str]]]:
    return [(dict(step.inputs), dict(step.outputs)) for step in ensemble.steps]


def test_a_private_ensemble_passes_refs_from_the_request_to_the_response() -> None:
    made = private_ensemble("p", way_of(CHAIN))
    assert steps(made) == [
        ({"x__ref": "x__ref"}, {"y__ref": "grow.y__ref"}),
        ({"a__ref": "grow.y__ref"}, {"y__ref": "mix.y__ref"}),
    ]
    assert made.by_ref == {"x", "mix.y"}
    [call] = made.route().path.invocations
    assert (call.component, call.inputs) == ("p", {"x": Input("x")})
    assert made.route().path.outputs == {"y": Output("p", "mix.y")}
    called = made.target()
    assert (called.ref_inputs, called.ref_outputs) == (("x",), ("mix.y",))
    assert (called.batched, called.ensemble, called.max_in_flight, called.idempotent) == (True, True, 4, True)


def test_a_tensor_that_stays_on_gpus_leaves_its_step_as_such_and_once_more_for_readers_on_the_host() -> None:
    gpus = {"grow": target("grow", dref_outputs=["y"]), "mix": target("mix", dref_inputs=["a"])}
    path = calls(
        ("grow", {"x": Input("x")}), ("mix", {"a": GROWN, "b": GROWN}), y=GROWN, z=Output("mix", "y")
    )
    made = private_ensemble("p", way_of(path, gpus))
    assert steps(made) == [
        ({"x__ref": "x__ref"}, {"y__dref": "grow.y__dref", "y__ref": "grow.y__ref"}),
        ({"a__ref": "grow.y__dref", "b__ref": "grow.y__ref"}, {"y__ref": "mix.y__ref"}),
    ]
    assert made.target().ref_outputs == ("grow.y", "mix.y")


def test_a_public_ensemble_has_the_names_and_the_inline_tensors_of_the_model() -> None:
    made = public_ensemble("m.chain", way_of(CHAIN))
    assert steps(made) == [({"x": "x"}, {"y": "grow.y"}), ({"a": "grow.y"}, {"y": "y"})]
    assert (list(made.signature.inputs), list(made.signature.outputs)) == (["x"], ["y"])


def test_an_edge_with_one_inline_end_is_inline_and_a_tensor_with_readers_of_both_sorts_leaves_twice() -> None:
    native = {"mix": target("mix", ref_inputs=(), ref_outputs=(), input_names={"a": "INPUT__0"})}
    path = calls(
        ("grow", {"x": Input("x")}),
        ("grow.2", {"x": GROWN}),
        ("mix", {"a": GROWN}),
        y=Output("grow.2", "y"),
        z=Output("mix", "y"),
    )
    made = private_ensemble("p", way_of(path, native))
    assert steps(made) == [
        ({"x__ref": "x__ref"}, {"y__ref": "grow.y__ref", "y": "grow.y"}),
        ({"x__ref": "grow.y__ref"}, {"y__ref": "grow.2.y__ref"}),
        ({"INPUT__0": "grow.y"}, {"y": "mix.y"}),
    ]


def test_an_input_that_a_ref_port_and_an_inline_port_take_becomes_two() -> None:
    native = {"mix": target("mix", ref_inputs=())}
    path = calls(("grow", {"x": Input("x")}), ("mix", {"a": Input("x"), "b": GROWN}), y=Output("mix", "y"))
    made = private_ensemble("p", way_of(path, native))
    [call] = made.route().path.invocations
    assert call.inputs == {"x": Input("x"), "x.2": Input("x")}
    assert made.target().ref_inputs == ("x",)
    assert steps(made)[1][0] == {"a": "x.2", "b": "grow.y"}


def test_what_the_flow_supplies_becomes_inputs_that_the_orchestrator_fills() -> None:
    path = calls(
        ("join", {"items": Items((Input("x"), Element("xs", 1)))}),
        ("mix", {"a": Element("xs", 0), "b": Output("join", "y"), "n": Const(3)}),
        ("join.2", {"items": Items(())}),
        y=Output("mix", "y"),
        z=Output("join.2", "y"),
    )
    made = private_ensemble("p", way_of(path))
    [call] = made.route().path.invocations
    assert call.inputs == {
        "join(items)": Items((Input("x"), Element("xs", 1))),
        "xs[0]": Element("xs", 0),
        "mix(n)": Const(3),
        "join.2(items)": Items(()),
    }
    dims = {tensor.name: tuple(tensor.dims) for tensor in config_of(made).input}
    assert dims == {
        "join(items)__ref": (-1, 192),
        "xs[0]__ref": (192,),
        "mix(n)": (1,),
        "join.2(items)__ref": (-1, 192),
    }


def test_model_outputs_that_are_no_outputs_of_steps_stay_with_the_orchestrator() -> None:
    path = calls(
        ("grow", {"x": Input("x")}),
        ("grow.2", {"x": GROWN}),
        y=Items((Output("grow.2", "y"), Input("x"))),
        z=Const(1.5),
        again=GROWN,
        echo=Input("x"),
    )
    made = private_ensemble("p", way_of(path))
    assert made.route().path.outputs == {
        "y": Items((Output("p", "grow.2.y"), Input("x"))),
        "z": Const(1.5),
        "again": Output("p", "grow.y"),
        "echo": Input("x"),
    }


SIZES = {"grow": 8, "mix": 4}


@pytest.mark.parametrize(("sizes", "expected"), [([8, 4], 4), ([0, 0], 0), ([8, 0], 1), ([1, 1], 1)])
def test_a_public_ensemble_takes_batches_that_all_its_components_take(
    sizes: list[int], expected: int
) -> None:
    assert config_of(public_ensemble("m.chain", way_of(CHAIN)), sizes).max_batch_size == expected
    private = config_of(private_ensemble("p", way_of(CHAIN)), sizes)
    assert private.max_batch_size == max(1, expected)  # its orchestrator brings rows in any case


def test_a_private_ensemble_carries_as_many_requests_as_its_components_take_rows() -> None:
    way = way_of(
        CHAIN, {name: replace(target(name), max_rows=rows, max_in_flight=16) for name, rows in SIZES.items()}
    )
    called = private_ensemble("p", way).target()
    assert (called.max_rows, called.max_in_flight) == (4, 4)
    assert private_ensemble("p", way_of(CHAIN)).target().max_rows == 1


def test_triton_holds_clients_to_the_sizes_that_the_flow_has_looked_at() -> None:
    path = calls(
        ("grow", {"x": Input("x")}),
        ("join", {"items": Input("xs")}),
        ("mix", {"a": GROWN, "b": Output("join", "y")}),
        y=Output("mix", "y"),
    )
    path = guarded(path, Guard("shape", "x", (16,)), Guard("count", "xs", 3), Guard("present", "x", True))
    config = config_of(public_ensemble("m.sized", way_of(path)))
    assert {tensor.name: tuple(tensor.dims) for tensor in config.input} == {"x": (16,), "xs": (3, -1)}


def test_it_may_be_repeated_only_if_all_its_steps_may() -> None:
    careful = {"mix": target("mix", idempotent=False)}
    assert not private_ensemble("p", way_of(CHAIN, careful)).target().idempotent


def faults(ensemble: Ensemble, sizes: list[int] | None = None) -> list[Any]:
    around = Surroundings(ensemble.name, True, member_configs(ensemble.way))
    sizes = [around.others[step.model].max_batch_size for step in ensemble.steps]
    config = config_of(ensemble, sizes)
    return [fault for rule in ENSEMBLE_RULES for fault in rule(config, around)]


_number, _list = st.integers(0, 3), st.sampled_from(["xs", "ys"])
# Operations of random flows that an ensemble can have: no streams, no lists of outputs as inputs.
_PLAIN_STEPS = st.one_of(
    st.tuples(st.just("single"), _number, st.none()),
    st.tuples(st.just("double"), _number, _number),
    st.just(("whole",)),
)
_STEPS = st.one_of(
    _PLAIN_STEPS,
    st.tuples(st.just("single"), _number, _number),
    st.tuples(st.just("scan"), _list, _number),
    st.tuples(st.just("numbered"), _list),
    st.tuples(st.just("early"), _list),
    st.just(("zip",)),
)


def as_flow(program: list[Any]) -> Flow:
    def random(request: Any, c: Any) -> dict[str, Any]:
        pool = programs.Pool([request["topic"]])
        programs.perform(program, request, c, pool)
        return {"one": pool.value(0), "many": pool.list(0), "more": pool.value(1)}

    return Flow(random, __file__)


def without_dead_ends(path: Path) -> Path:
    """Without invocations of which nobody reads an output."""
    arguments = [*path.outputs.values(), *(a for each in path.invocations for a in each.inputs.values())]
    read = {use.source.invocation for a in arguments for use in uses_of(a) if isinstance(use.source, Output)}
    kept = tuple(each for each in path.invocations if each.id in read)
    return path if kept == path.invocations else without_dead_ends(replace(path, invocations=kept))


@st.composite
def random_ways(draw: st.DrawFn, plain: bool) -> tuple[Way, Flow, plainly.Call]:
    """A random flow, straight, with ports by ref and batches at random; and a request that takes it.

    Args:
        draw: Hypothesis'.
        plain: As ensembles for clients have to be: no constants, an output of a component is the answer.
    """
    operations = _PLAIN_STEPS if plain else _STEPS
    flow, call = as_flow(draw(st.lists(operations, min_size=2, max_size=6))), draw(programs.requests)
    path = straight(flow, call)
    if plain:
        outputs = {name: value for name, value in path.outputs.items() if isinstance(value, Output)}
        path = replace(path, outputs=dict(list(outputs.items())[:1]))
    targets = {}
    for name, signature in plainly.MODEL.components.items():
        by_ref = [
            draw(st.lists(st.sampled_from(sorted(ports)), unique=True))
            for ports in (signature.inputs, signature.outputs)
        ]
        targets[name] = Target(name, draw(st.booleans()), 2, ref_inputs=by_ref[0], ref_outputs=by_ref[1])
    return way_of(without_dead_ends(path), targets, plainly.MODEL), flow, call


def expected(way: Way, flow: Flow, call: plainly.Call) -> dict[str, Any]:
    outputs = run_directly(flow, plainly.MODEL, call.values, call.parameters, call.wanted, plainly.COMPONENTS)
    return {name: outputs[name] for name in way.path.outputs}


@given(random_ways(plain=False))
@settings(max_examples=100, deadline=None)
def test_a_private_ensemble_of_a_random_flow_is_valid_and_computes_what_the_flow_does(drawn: Any) -> None:
    way, flow, call = drawn
    assume(private_obstacle(way, "ngc") is None)
    made = private_ensemble("p", way)
    assert faults(made) == []

    def called(inputs: dict[str, Any]) -> dict[str, Any]:
        tensors = {name + REF * (name in made.by_ref): value for name, value in inputs.items()}
        outputs = run(config_of(made), tensors, plainly.COMPONENTS)
        return {name.removesuffix(REF): value for name, value in outputs.items()}

    route = made.route()
    model = replace(plainly.MODEL, components={"p": route.signature})
    assert evaluate(route.path, model, call.values, {"p": called}) == expected(way, flow, call)


@given(random_ways(plain=True))
@settings(max_examples=100, deadline=None)
def test_a_public_ensemble_of_a_random_flow_is_valid_and_computes_what_the_flow_does(drawn: Any) -> None:
    way, flow, call = drawn
    assume(public_obstacle(way) is None)
    made = public_ensemble("m.p", way)
    assert faults(made) == []
    inputs = {tensor.name: call.values[tensor.name] for tensor in config_of(made).input}
    assert run(config_of(made), inputs, plainly.COMPONENTS) == expected(way, flow, call)
