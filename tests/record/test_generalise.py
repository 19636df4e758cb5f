from __future__ import annotations

import pytest

from corntriton.record.generalise import NotAMapError, generalise
from corntriton.record.path import Const, Element, Input, Invocation, Items, Output, Path, Spread


def vision(name: str, **inputs) -> Invocation:
    return Invocation(name, "vision", inputs)


FIRST, SECOND = Element("xs", 0), Element("xs", 1)
MAPPED = Path((), (vision("a", image=FIRST), vision("b", image=SECOND)), {})
NO_TURNS = ((), ())


def items_of(*items, at=MAPPED):
    path = Path((), at.invocations, {"all": Items(items)})
    return generalise(path, NO_TURNS, {"xs"}).outputs["all"].items


def test_calls_that_differ_in_the_element_alone_become_one():
    path = generalise(MAPPED, NO_TURNS, {"xs"})
    assert path.invocations == (Invocation("vision", "vision", {"image": Element("xs")}, over="xs"),)


def test_other_lists_keep_their_elements():
    assert generalise(MAPPED, NO_TURNS, frozenset()).invocations[1].inputs == {"image": SECOND}


def test_calls_without_arguments_belong_to_the_turn_they_were_made_in():
    path = Path((), (vision("a"), vision("b"), vision("c")), {})
    general = generalise(path, ((("xs", 0),), (("xs", 1),), ()), {"xs"})
    assert [(each.id, each.over) for each in general.invocations] == [("vision", "xs"), ("vision.2", None)]


UNALIKE = {
    "another constant": (vision("a", image=FIRST, n=Const(0)), vision("b", image=SECOND, n=Const(1))),
    "another input": (vision("a", image=FIRST), vision("b", picture=SECOND)),
    "another component": (vision("a", image=FIRST), Invocation("b", "ocr", {"image": SECOND})),
    "a call less": (vision("a", image=FIRST), vision("b", image=Input("text"))),
    "both elements": (vision("a", image=FIRST), vision("b", image=SECOND, other=FIRST)),
    "the turn before": (vision("a", image=FIRST), vision("b", image=SECOND, state=Output("a", "caption"))),
}


@pytest.mark.parametrize("invocations", UNALIKE.values(), ids=UNALIKE.keys())
def test_turns_that_are_not_alike_are_no_map(invocations):
    with pytest.raises(NotAMapError):
        generalise(Path((), invocations, {}), NO_TURNS, {"xs"})


A, B = Output("a", "caption"), Output("b", "caption")
CAPTION, X, P = Output("vision", "caption"), Element("xs"), Const("p")


@pytest.mark.parametrize(
    ("items", "general"),
    [
        ((A, B), (Spread("xs", (CAPTION,)),)),
        ((FIRST, A, SECOND, B), (Spread("xs", (X, CAPTION)),)),
        ((FIRST, SECOND, A, B), (Spread("xs", (X,)), Spread("xs", (CAPTION,)))),
        ((P, A, P, B), (Spread("xs", (P, CAPTION)),)),
        ((P, P, A, P, B), (P, Spread("xs", (P, CAPTION)))),
        ((A, B, A, B), (Spread("xs", (CAPTION,)), Spread("xs", (CAPTION,)))),
        ((A, A, B, B), (Spread("xs", (CAPTION, CAPTION)),)),
        ((P, P), (P, P)),
        ((), ()),
    ],
)
def test_lists_are_taken_apart_into_runs_per_element(items, general):
    assert items_of(*items) == general


@pytest.mark.parametrize("items", [(B, A), (A,), (B,), (A, SECOND), (A, P, B)])
def test_lists_that_are_no_runs_per_element_are_no_map(items):
    with pytest.raises(NotAMapError):
        items_of(*items)
