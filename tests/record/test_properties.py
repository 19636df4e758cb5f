"""Random flows and random requests: what is recorded and replayed is what the flow does."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from corntriton.record.cache import PathCache
from corntriton.record.canonical import same_flat
from corntriton.record.codec import path_from_json, path_to_json
from corntriton.record.direct import run_directly
from corntriton.record.evaluate import evaluate
from corntriton.record.expansion import expand
from corntriton.record.facts import matches
from corntriton.record.flow import Flow
from corntriton.record.path import Path
from corntriton.record.recording import record
from corntriton.record.trace import Trace
from tests.record.plainly import COMPONENTS, MODEL, Call, judge
from tests.record.programs import all_flows, hard_flows, mapping_flows, measuring_flows, pairs, requests


def unguarded(path: Path) -> Path:
    return replace(path, guards=())


def straight(flow: Flow, call: Call) -> Path:
    return Trace(flow, MODEL, call.facts).run()


@given(all_flows, requests)
@settings(max_examples=400, deadline=None)
def test_a_recorded_path_replayed_gives_what_running_the_flow_directly_gives(flow, call):
    expected = judge(flow, call)
    assert run_directly(flow, MODEL, call.values, call.parameters, call.wanted, COMPONENTS) == expected
    path = record(flow, MODEL, call.facts)
    assert matches(path, call.facts)
    assert evaluate(expand(path, call.facts.counts), MODEL, call.values, COMPONENTS) == expected


@given(mapping_flows, pairs)
@settings(max_examples=400, deadline=None)
def test_a_request_that_matches_the_guards_takes_the_path_that_recording_it_would_give(flow, pair):
    first, second = pair
    path = record(flow, MODEL, first.facts)
    if matches(path, second.facts):
        flat = expand(path, second.facts.counts)
        assert same_flat(unguarded(flat), unguarded(straight(flow, second)))


@given(measuring_flows | hard_flows, st.lists(pairs, min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_a_cache_gives_every_request_its_own_path_even_where_the_flow_measures_its_own_lists(flow, calls):
    cache = PathCache(flow, MODEL, capacity=3)
    for call in (call for pair in calls for call in pair):
        _, flat = cache.get(call.facts)
        assert same_flat(unguarded(flat), unguarded(straight(flow, call)))
        assert evaluate(flat, MODEL, call.values, COMPONENTS) == judge(flow, call)


@given(all_flows, requests)
@settings(max_examples=200, deadline=None)
def test_a_path_survives_json(flow, call):
    path = record(flow, MODEL, call.facts)
    data = path_to_json(path)
    assert path_from_json(json.loads(json.dumps(data))) == path
    assert path_to_json(path_from_json(data)) == data


@given(mapping_flows, requests)
@settings(max_examples=100, deadline=None)
def test_only_facts_that_matter_are_guards(flow, call):
    """Taking away a fact that is no guard changes nothing: the flow cannot have seen it."""
    path = record(flow, MODEL, call.facts)
    asked = {guard.name for guard in path.guards if guard.kind == "parameter"}
    others = {name: value for name, value in call.facts.parameters.items() if name in asked}
    assert record(flow, MODEL, replace(call.facts, parameters=others)) == path
