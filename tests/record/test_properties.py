"""Random flows and random requests: what is recorded and replayed is what the flow does.

A program is a list of operations on a pool of values and a pool of lists. `perform` runs it against
whatever offers the flow's interface: the recorder's, or the plain one below, which knows nothing of
symbols, paths or guards and is therefore the judge.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from corntriton.record.cache import PathCache
from corntriton.record.canonical import same_flat
from corntriton.record.codec import path_from_json, path_to_json
from corntriton.record.direct import facts_of, run_directly
from corntriton.record.evaluate import evaluate
from corntriton.record.expansion import expand
from corntriton.record.facts import Facts, matches
from corntriton.record.flow import Flow
from corntriton.record.path import Path
from corntriton.record.recording import record
from corntriton.record.signature import ModelSignature, Port, Signature
from corntriton.record.trace import Trace

TEXT, MAYBE_TEXT = Port("BYTES"), Port("BYTES", optional=True)
TEXTS, MAYBE_TEXTS = Port("BYTES", list=True), Port("BYTES", list=True, optional=True)
NUMBER = Port("INT32", optional=True)
MODEL = ModelSignature(
    "random",
    Signature(
        {"topic": TEXT, "text": MAYBE_TEXT, "xs": MAYBE_TEXTS, "ys": TEXTS},
        {"one": MAYBE_TEXT, "many": MAYBE_TEXTS, "more": MAYBE_TEXT},
    ),
    {
        "single": Signature({"a": TEXT, "n": NUMBER}, {"out": TEXT, "other": TEXT}),
        "double": Signature({"a": TEXT, "b": TEXT}, {"out": TEXT}),
        "join": Signature({"items": TEXTS, "a": MAYBE_TEXT}, {"out": TEXT}),
        "say": Signature({"a": TEXT}, {"out": TEXT}, streaming=True),
    },
)


def _component(name: str) -> Any:
    """Gives outputs that tell the component, and every input."""

    def run(inputs: dict[str, Any]) -> dict[str, str]:
        shown = ", ".join(f"{key}={inputs[key]}" for key in sorted(inputs))
        return {output: f"{name} {output} ({shown})." for output in MODEL.components[name].outputs}

    return run


COMPONENTS = {name: _component(name) for name in MODEL.components}


@dataclass(frozen=True)
class Call:
    """A request."""

    values: dict[str, Any]
    parameters: dict[str, Any]
    wanted: frozenset[str]

    @property
    def facts(self) -> Facts:
        return facts_of(MODEL, self.values, self.parameters, self.wanted)


class Plain:
    """A computed value of the plain interface."""

    def __init__(self, value: str) -> None:
        self.value = value

    def chunks(self, by: str) -> list[str]:
        size = int(by.partition(":")[2])
        words = self.value.split(" ")
        return [(" " if at else "") + " ".join(words[at : at + size]) for at in range(0, len(words), size)]


class PlainRequest:
    def __init__(self, call: Call) -> None:
        self._call = call

    def __contains__(self, name: str) -> bool:
        return name in self._call.values

    def __getitem__(self, name: str) -> Any:
        value = self._call.values[name]
        return [Plain(item) for item in value] if isinstance(value, list) else Plain(value)

    def get(self, name: str, default: Any = None) -> Any:
        present = name in self
        return self[name] if present else default

    def each(self, name: str) -> Any:
        return iter(self.get(name, []))

    def count(self, name: str) -> int:
        return len(self.get(name, []))

    def wants(self, name: str) -> bool:
        return name in self._call.wanted

    def parameter(self, name: str, default: Any = None) -> Any:
        return self._call.parameters.get(name, default)


class PlainComponents:
    def __getattr__(self, name: str) -> Any:
        def call(**inputs: Any) -> Any:
            chunks = {
                key: value for key, value in inputs.items() if key != "items" and isinstance(value, list)
            }
            whole = {
                key: _plain(value) for key, value in inputs.items() if key not in chunks and value is not None
            }
            calls = [{**whole, key: chunk} for key in chunks for chunk in chunks[key]] or [whole]
            results = [COMPONENTS[name](each) for each in calls]
            outputs = {key: Plain("".join(result[key] for result in results)) for key in results[0]}
            return type("Outputs", (), outputs)

        return call


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Plain) else value


@dataclass
class Pool:
    """What a program may use at one place: values and lists."""

    values: list[Any]
    lists: list[list[Any]] = field(default_factory=lambda: [[]])

    def value(self, number: int) -> Any:
        return self.values[-1 - number % len(self.values)]

    def list(self, number: int) -> Any:
        return self.lists[-1 - number % len(self.lists)]


Op = tuple[Any, ...]


def perform(program: list[Op], request: Any, c: Any, pool: Pool) -> None:
    for name, *arguments in program:
        OPERATIONS[name](request, c, pool, *arguments)


def _single(request: Any, c: Any, pool: Pool, a: int, n: int | None) -> None:
    called = c.single(a=pool.value(a), n=n)
    pool.values += [called.other, called.out]


def _double(request: Any, c: Any, pool: Pool, a: int, b: int) -> None:
    pool.values.append(c.double(a=pool.value(a), b=pool.value(b)).out)


def _join(request: Any, c: Any, pool: Pool, items: int, a: int | None) -> None:
    pool.values.append(c.join(items=pool.list(items), a=None if a is None else pool.value(a)).out)


def _say(request: Any, c: Any, pool: Pool, a: int, size: int) -> None:
    spoken = c.say(a=pool.value(a).chunks(f"tokens:{size}")).out
    pool.values.append(c.say(a=spoken.chunks("tokens:2")).out)


def _gather(request: Any, c: Any, pool: Pool, *numbers: int) -> None:
    pool.lists.append([pool.value(number) for number in numbers])


def _concat(request: Any, c: Any, pool: Pool, one: int, other: int) -> None:
    pool.lists.append(pool.list(one) + pool.list(other))


def _loop(request: Any, c: Any, pool: Pool, over: str, body: list[Op], taken: list[int]) -> None:
    """Each turn works on values of its own, and appends some of them to a list."""
    appended: list[Any] = []
    for element in request.each(over):
        inner = Pool([*pool.values, element], [*pool.lists])
        perform(body, request, c, inner)
        appended += [inner.value(number) for number in taken]
    pool.lists.append(appended)


def _remap(request: Any, c: Any, pool: Pool, items: int) -> None:
    pool.lists.append([c.single(a=item).out for item in pool.list(items)])


def _scan(request: Any, c: Any, pool: Pool, over: str, a: int) -> None:
    state = pool.value(a)
    for element in request.each(over):
        state = c.double(a=state, b=element).out
    pool.values.append(state)


def _zip(request: Any, c: Any, pool: Pool) -> None:
    pairs = zip(request.each("xs"), request.each("ys"), strict=False)
    pool.lists.append([c.double(a=x, b=y).out for x, y in pairs])


def _product(request: Any, c: Any, pool: Pool) -> None:
    pool.lists.append([c.double(a=x, b=y).out for x in request.each("xs") for y in request.each("ys")])


def _numbered(request: Any, c: Any, pool: Pool, over: str) -> None:
    pool.lists.append([c.single(a=x, n=number).out for number, x in enumerate(request.each(over))])


def _leak(request: Any, c: Any, pool: Pool, over: str) -> None:
    element = None
    for element in request.each(over):
        c.single(a=element)
    if element is not None:
        pool.values.append(element)


def _early(request: Any, c: Any, pool: Pool, over: str) -> None:
    for element in request.each(over):
        pool.values.append(c.single(a=element).out)
        break


def _reverse(request: Any, c: Any, pool: Pool, items: int) -> None:
    pool.lists.append(pool.list(items)[::-1])


def _slice(request: Any, c: Any, pool: Pool, items: int, start: int) -> None:
    pool.lists.append(pool.list(items)[start:])


def _whole(request: Any, c: Any, pool: Pool) -> None:
    pool.values.append(c.join(items=request["ys"]).out)


def _given(request: Any, c: Any, pool: Pool, name: str, then: list[Op], other: list[Op]) -> None:
    perform(then if name in request else other, request, c, pool)
    if name in request and name == "text":
        pool.values.append(request[name])


def _wanted(request: Any, c: Any, pool: Pool, name: str, then: list[Op]) -> None:
    if request.wants(name):
        perform(then, request, c, pool)


def _styled(request: Any, c: Any, pool: Pool, value: Any, then: list[Op], other: list[Op]) -> None:
    style = request.parameter("style", "none")
    perform(then if style == value and type(style) is type(value) else other, request, c, pool)


def _counted(request: Any, c: Any, pool: Pool, name: str, then: list[Op]) -> None:
    if request.count(name) > 1:
        perform(then, request, c, pool)


def _measured(request: Any, c: Any, pool: Pool, items: int, longer: int, then: list[Op]) -> None:
    if len(pool.list(items)) > longer:
        perform(then, request, c, pool)


OPERATIONS = {
    name.removeprefix("_"): operation
    for name, operation in [*globals().items()]
    if name in (
        "_single", "_double", "_join", "_say", "_gather", "_concat", "_loop", "_remap", "_scan", "_zip",
        "_product", "_numbered", "_leak", "_early", "_reverse", "_slice", "_whole", "_given", "_wanted",
        "_styled", "_counted", "_measured",
    )
}  # fmt: skip

_number, _list = st.integers(0, 3), st.sampled_from(["xs", "ys"])
_steps = st.one_of(
    st.tuples(st.just("single"), _number, st.none() | _number),
    st.tuples(st.just("double"), _number, _number),
    st.tuples(st.just("join"), _number, st.none() | _number),
    st.tuples(st.just("say"), _number, st.integers(1, 3)),
    st.tuples(st.just("gather"), _number, _number),
    st.tuples(st.just("concat"), _number, _number),
    st.tuples(st.just("remap"), _number),
)
_hard_steps = st.one_of(
    st.tuples(st.just("scan"), _list, _number),
    st.just(("zip",)),
    st.just(("product",)),
    st.tuples(st.just("numbered"), _list),
    st.tuples(st.just("leak"), _list),
    st.tuples(st.just("early"), _list),
    st.tuples(st.just("reverse"), _number),
    st.tuples(st.just("slice"), _number, st.integers(0, 2)),
    st.just(("whole",)),
)


def _some(*operations: st.SearchStrategy[Op]) -> st.SearchStrategy[list[Op]]:
    return st.lists(st.one_of(operations), min_size=1, max_size=4)


def _branches(then: st.SearchStrategy[list[Op]]) -> st.SearchStrategy[Op]:
    """Branches on facts of the request."""
    return st.one_of(
        st.tuples(st.just("given"), st.sampled_from(["text", "xs"]), then, then),
        st.tuples(st.just("wanted"), st.sampled_from(["one", "many"]), then),
        st.tuples(st.just("styled"), st.sampled_from(["short", 1, True, "none"]), then, then),
    )


def _loops(body: st.SearchStrategy[list[Op]]) -> st.SearchStrategy[Op]:
    taken = st.lists(st.integers(0, 1), min_size=1, max_size=2)
    return st.tuples(st.just("loop"), _list, body, taken)


def _programs(steps: st.SearchStrategy[Op]) -> st.SearchStrategy[list[Op]]:
    loops = _loops(_some(steps, steps, _branches(_some(steps))))
    return _some(steps, loops, loops, _branches(_some(steps, loops)))


_nested_loops = _loops(_some(_steps, _loops(_some(_steps))))
_counting = st.tuples(st.just("counted"), _list, _some(_steps))
_measuring = st.tuples(st.just("measured"), _number, st.integers(0, 4), _some(_steps))


def _as_flow(program: list[Op]) -> Flow:
    def random(request: Any, c: Any) -> dict[str, Any]:
        pool = Pool([request["topic"]])
        perform(program, request, c, pool)
        outputs = {"one": pool.value(0), "many": pool.list(0)}
        return {**outputs, "more": pool.value(1)} if request.wants("more") else outputs

    return Flow(random, __file__)


mapping_flows = _programs(_steps).map(_as_flow)
measuring_flows = _programs(_steps | _measuring).map(_as_flow)
hard_flows = _some(_steps, _hard_steps, _nested_loops, _counting, _loops(_some(_steps))).map(_as_flow)
all_flows = mapping_flows | measuring_flows | hard_flows


_length = st.sampled_from([1, 2, 3, 4, 5, 0])


@st.composite
def _requests(draw: st.DrawFn) -> Call:
    values: dict[str, Any] = {"topic": "cats", "ys": [f"y{n}" for n in range(draw(_length))]}
    if draw(st.booleans()):
        values["text"] = "some words of text"
    if draw(st.integers(0, 3)):
        values["xs"] = [f"x{n}" for n in range(draw(_length))]
    style = draw(st.sampled_from([None, "short", 1, True]))
    wanted = draw(st.frozensets(st.sampled_from(["one", "many", "more"])))
    return Call(values, {} if style is None else {"style": style}, wanted)


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[Call, Call]:
    """Two requests, mostly alike but for the lengths of their lists."""
    first = draw(_requests())
    if draw(st.integers(0, 3)) == 0:
        return first, draw(_requests())
    values = {name: _stretched(draw, value) for name, value in first.values.items()}
    return first, replace(first, values=values)


def _stretched(draw: st.DrawFn, value: Any) -> Any:
    return [f"z{number}" for number in range(draw(_length))] if isinstance(value, list) else value


requests, pairs = _requests(), _pairs()


def judge(flow: Flow, call: Call) -> dict[str, Any]:
    outputs = flow.function(PlainRequest(call), PlainComponents())
    return {name: _plain(value) for name, value in outputs.items()}


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
