"""How each tensor passes, why, and how large it is."""

from __future__ import annotations

import pytest

from corntriton.record.path import Chunks, Const, Element, Input, Invocation, Items, Output, Path, Spread
from corntriton.record.signature import ModelSignature, Port, Signature
from corntriton.repository.edges import Edge, Sizes, edges_of
from corntriton.repository.ways import Way
from tests.repository.compiled_paths import MODEL, calls, target, way_of

GROWN, MIXED = Output("grow", "y"), Output("mix", "y")
VARIES = Port("FP16", (-1, -1))
NATIVE = {"mix": target("mix", ref_inputs=(), ref_outputs=())}
CHAIN = calls(("grow", {"x": Input("x")}), ("mix", {"a": GROWN, "n": Const(1)}), y=MIXED)


def transports(way: Way, compiled: bool = False) -> dict[str, tuple[str, str]]:
    return {
        f"{edge.producer} {edge.consumer}": (edge.transport, edge.rule)
        for edge in edges_of(way, compiled, Sizes({}))
    }


@pytest.mark.parametrize("compiled", [False, True])
def test_between_components_of_ours_refs_pass_and_the_orchestrator_stands_at_both_ends(
    compiled: bool,
) -> None:
    assert transports(way_of(CHAIN), compiled) == {
        "request.x grow.x": ("ref, written by the orchestrator", "client"),
        "grow.y mix.a": ("ref", "varies"),
        "mix.y response.y": ("ref, read by the orchestrator", "client"),
    }


def test_a_native_backend_gets_what_the_orchestrator_reads_or_in_an_ensemble_the_tensor_itself() -> None:
    replayed, compiled = transports(way_of(CHAIN, NATIVE)), transports(way_of(CHAIN, NATIVE), compiled=True)
    assert replayed["grow.y mix.a"] == ("ref, read by the orchestrator", "native or cached")
    assert compiled["grow.y mix.a"] == ("inline", "native or cached")
    assert replayed["mix.y response.y"] == compiled["mix.y response.y"] == ("inline", "native or cached")


def test_what_comes_inline_is_written_for_a_consumer_that_reads_refs_unless_it_is_in_an_ensemble() -> None:
    path = calls(("mix", {"a": Input("x")}), ("grow", {"x": MIXED}), y=GROWN)
    assert transports(way_of(path, NATIVE))["mix.y grow.x"] == (
        "ref, written by the orchestrator",
        "native or cached",
    )
    assert transports(way_of(path, NATIVE), compiled=True)["mix.y grow.x"] == ("inline", "native or cached")


@pytest.mark.parametrize("compiled", [False, True])
def test_between_gpus_the_ref_is_one_to_device_memory_where_both_ends_are_declared_so(compiled: bool) -> None:
    gives = target("grow", dref_outputs=["y"])
    takes = target("mix", dref_inputs=["a"])
    path = calls(("grow", {"x": Input("x")}), ("mix", {"a": GROWN, "b": GROWN}), y=MIXED)
    found = transports(way_of(path, {"grow": gives, "mix": takes}), compiled)
    assert found["grow.y mix.a"] == ("device ref", "memory: device")
    assert found["grow.y mix.b"] == ("ref", "varies")
    for other in ({"grow": gives}, {"mix": takes}):
        assert transports(way_of(path, other), compiled)["grow.y mix.a"] == ("ref", "varies")


def test_what_comes_in_pieces_is_joined_on_the_host() -> None:
    gpus = {"grow": target("grow", dref_inputs=["x"], dref_outputs=["y"])}
    chunked = Chunks(Input("x"), "samples:4")
    path = calls(("grow", {"x": chunked}), ("grow.2", {"x": GROWN}), y=Output("grow.2", "y"))
    assert transports(way_of(path, gpus))["grow.y grow.2.x"] == ("ref", "varies")


def test_texts_and_small_tensors_are_inline_and_streams_too() -> None:
    path = calls(
        ("grow", {"x": Input("x")}),
        ("fit", {"four": Input("four")}),
        ("sing", {"text": Output("grow", "size")}),
        ("mix", {"a": Chunks(Output("sing", "pcm"), "samples:4")}),
        y=Output("fit", "y"),
        z=MIXED,
    )
    streams = {"sing": target("sing", ref_outputs=())}
    found = transports(way_of(path, streams))
    assert found["fit.y response.y"] == ("inline", "small")
    assert found["grow.size sing.text"] == ("inline", "one text")
    assert found["sing.pcm mix.a"] == ("ref, written by the orchestrator", "chunks")


def test_what_stays_in_an_executor_is_told_from_what_leaves_it() -> None:
    members = {name: f"m__{name}" for name in ("grow", "join")}
    joint = target("grow", members=members, ref_inputs=(), ref_outputs=())
    path = calls(
        ("grow", {"x": Input("x")}),
        ("grow.2", {"x": GROWN}),
        ("mix", {"a": Output("grow.2", "y")}),
        ("grow.3", {"x": MIXED}),
        ("grow.4", {"x": Output("grow.2", "y")}),
        y=Output("grow.3", "y"),
        z=Output("grow.4", "y"),
    )
    stops = {"grow": "all", "grow.2": "all", "mix": "mix", "grow.3": "all", "grow.4": "all"}
    found = transports(way_of(path, {"all": joint}, **stops))
    assert found["grow.y grow.2.x"] == ("inside the executor", "executor")
    assert found["grow.2.y grow.4.x"] == ("inside the executor", "executor")
    assert found["grow.2.y mix.a"] == ("ref, written by the orchestrator", "executor")
    assert found["mix.y grow.3.x"] == ("ref, read by the orchestrator", "executor")
    assert found["grow.3.y response.y"] == ("inline", "executor")


def test_an_edge_of_a_map_stands_for_one_tensor_per_element() -> None:
    each = Invocation("grow", "grow", {"x": Element("xs")}, "xs")
    items = Items((Input("x"), Spread("xs", (GROWN,))))
    join = Invocation("join", "join", {"items": items})
    way = way_of(Path((), (each, join), {"y": Output("join", "y")}))
    assert edges_of(way, False, Sizes({"x": (1000,)})) == (
        Edge("request.xs", "grow.x", "ref, written by the orchestrator", "client", None, "xs"),
        Edge("request.x", "join.items", "ref, written by the orchestrator", "client", 4000),
        Edge("grow.y", "join.items", "ref", "varies", None, "xs"),
        Edge("join.y", "response.y", "ref, read by the orchestrator", "client"),
    )


def test_bytes_are_those_that_dims_fix_at_either_end_else_those_of_profiles() -> None:
    model = ModelSignature(
        "m",
        Signature({"x": VARIES}, {"y": VARIES}),
        {
            "vary": Signature({"x": VARIES}, {"y": VARIES}),
            "states": Signature({"x": Port("FP16", (1500, 512))}, {"y": Port("FP16", (100, 256))}),
        },
    )
    path = calls(
        ("vary", {"x": Input("x")}),
        ("states", {"x": Output("vary", "y")}),
        ("vary.2", {"x": Output("states", "y")}),
        y=Output("vary.2", "y"),
    )

    def profiled(invocation: str, output: str) -> float | None:
        return {"vary.2": 1e6, "vary": 5.0}.get(invocation)

    found = edges_of(way_of(path, model=model), True, Sizes({"x": None}, profiled))
    assert [(edge.rule, edge.nbytes) for edge in found] == [
        ("client", None),
        ("varies", 1500 * 512 * 2),
        ("large", 100 * 256 * 2),
        ("client", 1000000),
    ]


def test_nothing_is_said_of_a_path_that_this_server_cannot_run() -> None:
    way = way_of(CHAIN)
    assert edges_of(Way(1.0, way.path, MODEL, {"grow": "grow"}, way.targets), False, Sizes({})) == ()


@pytest.mark.parametrize("servers", [("far", ""), ("", "far"), ("far", "further")])
def test_between_servers_a_ref_is_pulled(servers: tuple[str, str]) -> None:
    far = {name: target(name, server=server) for name, server in zip(("grow", "mix"), servers, strict=True)}
    assert transports(way_of(CHAIN, far))["grow.y mix.a"] == ("pulled from another server", "varies")


def test_between_components_of_one_other_server_a_ref_passes_there() -> None:
    far = {name: target(name, server="far") for name in ("grow", "mix")}
    assert transports(way_of(CHAIN, far))["grow.y mix.a"] == ("ref", "varies")
