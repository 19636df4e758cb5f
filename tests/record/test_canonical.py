from __future__ import annotations

from corntriton.record.canonical import same_flat
from corntriton.record.path import Const, Guard, Input, Invocation, Output, Path


def call(name, component, **inputs):
    return Invocation(name, component, inputs)


def path(*invocations, **outputs):
    return Path((), invocations, outputs)


A = call("a", "vision", image=Input("x"))
B = call("b", "vision", image=Input("y"))


def test_ids_and_order_do_not_matter():
    renamed = [call("p", "vision", image=Input("y")), call("q", "vision", image=Input("x"))]
    assert same_flat(path(A, B, out=Output("a", "caption")), path(*renamed, out=Output("q", "caption")))


def test_arguments_matter():
    assert not same_flat(path(A, out=Output("a", "caption")), path(B, out=Output("b", "caption")))
    assert not same_flat(path(A), path(A, B))
    assert not same_flat(path(A, out=Output("a", "caption")), path(A, out=Output("a", "score")))


def test_which_of_two_equal_calls_is_used_matters():
    twice = [call("a", "llm", prompt=Input("x")), call("b", "llm", prompt=Input("x"))]
    same = call("c", "pair", one=Output("a", "text"), other=Output("a", "text"))
    both = call("c", "pair", one=Output("a", "text"), other=Output("b", "text"))
    assert not same_flat(path(*twice, same), path(*twice, both))


def test_constants_and_guards_that_python_calls_equal_are_told_apart():
    assert not same_flat(path(out=Const(0.0)), path(out=Const(-0.0)))
    one, true = (Path((Guard("parameter", "n", value),), (), {}) for value in (1, True))
    assert not same_flat(one, true)
