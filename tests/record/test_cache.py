from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from corntriton.record.cache import PathCache
from corntriton.record.canonical import same_flat
from corntriton.record.errors import RecordError
from corntriton.record.facts import Facts
from corntriton.record.flow import Flow
from corntriton.record.recording import record
from corntriton.record.trace import Trace


class Counted:
    """A flow that counts how often it runs."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.runs = 0
        self.flow = Flow(self._run, __file__)
        self._function = function

    def _run(self, request, c):
        self.runs += 1
        return self._function(request, c)


def captioning(request, c):
    captions = [c.vision(image=image).caption for image in request.each("images")]
    if "text" in request:
        captions.append(request["text"])
    return {"captions": captions}


def measuring(request, c):
    captions = [c.vision(image=image).caption for image in request.each("images")]
    return {"answer": c.llm(context=captions).text} if len(captions) > 5 else {"captions": captions}


def by_style(request, c):
    return {"answer": c.llm(prompt=request.parameter("style", "none")).text}


def images(count: int, **shapes: tuple[int, ...]) -> Facts:
    return Facts({"topic": (1,), **shapes}, {"images": count} if count else {})


def style(name: str) -> Facts:
    return Facts({"topic": (1,)}, parameters={"style": name})


def test_what_is_known_does_not_run_the_flow(model):
    flow = Counted(captioning)
    cache = PathCache(flow.flow, model)
    first = cache.get(images(3))
    runs = flow.runs
    again = cache.get(images(3, audio=(123,)))
    assert flow.runs == runs
    assert again[1] is first[1]


def test_another_length_of_a_mapped_list_is_checked_once_and_keeps_the_name(model):
    flow = Counted(captioning)
    cache = PathCache(flow.flow, model)
    name, flat = cache.get(images(3))
    runs = flow.runs
    other_name, other = cache.get(images(7))
    assert flow.runs == runs + 1
    assert (other_name, len(flat.invocations), len(other.invocations)) == (name, 3, 7)
    cache.get(images(7))
    assert flow.runs == runs + 1


def test_a_length_for_which_the_flow_does_something_else_gets_a_path_of_its_own(model):
    flow = Counted(measuring)
    cache = PathCache(flow.flow, model)
    short, long = cache.get(images(3)), cache.get(images(6))
    assert short[0] != long[0]
    assert set(short[1].outputs) == {"captions"}
    assert set(long[1].outputs) == {"answer"}
    runs = flow.runs
    assert [cache.get(images(count))[0] for count in (3, 6)] == [short[0], long[0]]
    assert flow.runs == runs
    assert set(cache.get(images(7))[1].outputs) == {"answer"}
    assert cache.get(images(4))[0] == short[0]


def test_a_shipped_path_is_used_under_its_name(model):
    flow = Counted(captioning)
    cache = PathCache(flow.flow, model)
    cache.preload("images_to_text", record(flow.flow, model, images(2)))
    assert cache.get(images(2))[0] == "images_to_text"
    assert cache.get(images(5))[0] == "images_to_text"
    assert cache.get(images(5, text=(1,)))[0].startswith("recorded-")


def test_parameters_that_python_calls_equal_take_their_own_paths(model):
    def exact(request, c):
        return {"answer": request["topic"]} if request.parameter("n") is True else {}

    cache = PathCache(Flow(exact, __file__), model)
    paths = [cache.get(Facts({"topic": (1,)}, parameters={"n": value}))[1] for value in (1, True, 1.0)]
    assert [len(path.outputs) for path in paths] == [0, 1, 0]


def test_a_shipped_path_without_loops_never_runs_the_flow(model):
    flow = Counted(by_style)
    cache = PathCache(flow.flow, model)
    cache.preload("short", record(flow.flow, model, style("short")))
    runs = flow.runs
    assert cache.get(style("short"))[0] == "short"
    assert flow.runs == runs


def test_equal_paths_have_equal_names_in_every_process(model):
    names = {PathCache(Flow(captioning, __file__), model).get(images(count))[0] for count in (1, 2, 8)}
    assert len(names) == 1


def test_threads_with_the_same_facts_record_once(model):
    flow = Counted(captioning)
    lonely = PathCache(flow.flow, model)
    lonely.get(images(3))
    expected, flow.runs = flow.runs, 0
    cache, together = PathCache(flow.flow, model), Barrier(8)

    def get(_: int) -> str:
        together.wait()
        return cache.get(images(3))[0]

    with ThreadPoolExecutor(8) as threads:
        names = {*threads.map(get, range(8))}
    assert len(names) == 1
    assert flow.runs == expected


def test_threads_with_different_facts_all_get_their_own_path(model):
    flow = Flow(measuring, __file__)
    cache = PathCache(flow, model, capacity=4)
    counts = [count % 9 for count in range(200)]

    def right(count: int) -> bool:
        _, flat = cache.get(images(count))
        straight = Trace(flow, model, images(count)).run()
        return same_flat(replace(flat, guards=()), replace(straight, guards=()))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(right, counts))


def test_the_least_recently_used_path_goes_first(model):
    flow = Counted(by_style)
    cache = PathCache(flow.flow, model, capacity=2)
    for name in ("a", "b", "a", "c"):
        cache.get(style(name))
    assert flow.runs == 3
    cache.get(style("a"))
    assert flow.runs == 3
    cache.get(style("b"))
    assert flow.runs == 4


def test_a_shipped_path_stays_however_many_are_recorded(model):
    flow = Flow(by_style, __file__)
    cache = PathCache(flow, model, capacity=1)
    cache.preload("plain", record(flow, model, style("plain")))
    for name in ("a", "b", "c"):
        cache.get(style(name))
    assert cache.get(style("plain"))[0] == "plain"


def test_an_error_reaches_every_caller_and_is_not_kept(model):
    allowed = []

    def moody(request, c):
        if not allowed:
            raise ValueError("not today")
        return {"answer": request["topic"]}

    cache = PathCache(Flow(moody, __file__), model)
    for _ in range(2):
        with pytest.raises(RecordError, match="not today"):
            cache.get(images(0))
    allowed.append(True)
    assert set(cache.get(images(0))[1].outputs) == {"answer"}
