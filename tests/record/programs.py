"""Random flows and requests. A program is a list of operations on a pool of values and a pool of lists.

`perform` runs it against whatever offers the flow's interface: the recorder's, or the plain one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from corntriton.record.flow import Flow
from tests.record.plainly import Call


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
