"""Executors in plain Python: any path, split over executors in any way, gives what it gives as a whole."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corntriton.record.evaluate import evaluate
from corntriton.record.joining import join
from corntriton.record.path import Input, Invocation, Output, Path
from corntriton.record.signature import ModelSignature, Port, Signature
from corntriton.runtime import part
from corntriton.runtime.compiled import compile_fused
from corntriton.runtime.engine import Engine
from corntriton.runtime.executor import Executor
from corntriton.runtime.failures import CallError
from corntriton.runtime.fusion import fuse
from corntriton.runtime.members import Member
from corntriton.runtime.messages import Call, Chunk, End, Start
from corntriton.runtime.parcel import ByRef, pack, unpack
from corntriton.runtime.part import parcel_of
from corntriton.runtime.refs import Refs
from corntriton.runtime.replay import Replay
from corntriton.runtime.settings import CALL, RESULT, ComponentSettings, Target
from corntriton.runtime.threads import Workers
from corntriton.runtime.values import RefValue, ValueCutter, array_of
from corntriton.runtime.values import join as join_values
from tests.runtime.memory import memory
from tests.runtime.replayed import PATIENCE_S, Answer
from tests.runtime.test_replay import COMPONENTS, MODEL, VALUES, paths

ONE = Port("BYTES")
UNARY = Signature({"x": ONE}, {"y": ONE})


class Part:
    """A component as users write it, around a function of plain values."""

    def __init__(self, signature: Signature, function: Callable[[dict[str, Any]], Any]) -> None:
        self._signature = signature
        self._function = function
        self.batches: list[int] = []

    def __call__(self, items: list[Any]) -> list[Any]:
        self.batches.append(len(items))
        return [self._function(self._plain(item)) for item in items]

    def stream(self, item: Any) -> Iterator[Any]:
        yield from self._function(self._plain(item))

    def _plain(self, item: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: [_text(each) for each in value] if self._signature.inputs[name].list else _text(value)
            for name, value in item.items()
        }


def _text(value: Any) -> str:
    return value.item().decode()


class Local:
    """An executor with nothing between it and its caller."""

    def __init__(
        self, model: ModelSignature, parts: Mapping[str, Any], max_batch: int, slots: int = 64
    ) -> None:
        self.flags = bytearray(slots)
        self._answers = [queue.SimpleQueue() for _ in range(slots)]
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(slots):
            self._free.put(slot)
        members = {}
        for name, each in parts.items():
            kept = ComponentSettings(name, "python", "m:C", model.components[name], max_batch)
            members[f"m/{name}"] = Member(kept, each, self.flags, memory())
        self.executor = Executor(members, self._take, self.flags, memory())

    def call(self, parcel: Any, owner: str | None = None) -> Iterator[dict[str, Any]]:
        slot = self._free.get(timeout=PATIENCE_S)
        self.executor.handle(Start(slot, Call({CALL: parcel}, frozenset({RESULT}), owner=owner)))
        while not isinstance(message := self._answers[slot].get(timeout=PATIENCE_S), End):
            yield unpack(message.outputs[RESULT])[0]
        self._free.put(slot)
        if message.failure is not None:
            raise CallError(message.failure.text, message.failure.code)

    def _take(self, message: Chunk | End) -> None:
        self._answers[message.slot].put(message)


class SplitCaller:
    """Calls functions, and executors where a step is a part of the path."""

    def __init__(
        self, model: ModelSignature, parts: Mapping[str, Part], executors: Mapping[str, Local]
    ) -> None:
        self._model = model
        self._parts = parts
        self._executors = executors
        self.calls: list[str] = []
        self.n_refs = 0

    def sequenced(self, step: Any) -> bool:
        return step.group is not None and step.group.sequenced

    def cutter(self, step: Any) -> ValueCutter:
        return ValueCutter(step.chunked.by, step.chunked.port)

    def join(self, pieces: Any, port: Port) -> Any:
        return join_values(pieces, port)

    def call(self, task: Any) -> Any:
        self.calls.append(task.step.id)
        return _arrays(self._parts[task.step.component]([self._item(task)])[0])

    def stream(self, task: Any) -> Iterator[Any]:
        if task.step.group is None:
            self.calls.append(task.step.id)
            yield from map(_arrays, self._parts[task.step.component].stream(self._item(task)))
        else:
            self.calls.append(task.step.id)
            context, executor = task.replay.context, self._executors[task.step.target]
            for outputs in executor.call(parcel_of(task), context.owned.text):
                self.n_refs += sum(isinstance(value, ByRef) for value in outputs.values())
                yield {
                    name: context.refs.unpack(value.refs) if isinstance(value, ByRef) else value
                    for name, value in outputs.items()
                }

    def _item(self, task: Any) -> dict[str, Any]:
        ports = self._model.components[task.step.component].inputs
        arrays = {name: array_of(value, ports[name]) for name, value in task.inputs.items()}
        return {name: [*array] if ports[name].list else array for name, array in arrays.items()}


def _arrays(outputs: Mapping[str, str]) -> dict[str, Any]:
    return {name: np.array([value.encode()], object) for name, value in outputs.items()}


class Split:
    """A model over executors `E` and `F` of all its components, and over its components alone."""

    def __init__(self, model: ModelSignature, functions: Mapping[str, Callable], max_batch: int = 2) -> None:
        self.model = model
        self.parts = {name: Part(model.components[name], function) for name, function in functions.items()}
        names = {name: f"m/{name}" for name in functions}
        executors = {name: Local(model, self.parts, max_batch) for name in "EF"}
        self.targets = {name: Target(name, False, 3, members=names) for name in executors}
        self.targets.update({name: Target(name, True, 3) for name in functions})
        self.caller = SplitCaller(model, self.parts, executors)
        limits = {name: target.max_in_flight for name, target in self.targets.items()}
        self.workers = Workers("test", sum(limits.values()) + 4)
        self.engine = Engine(self.caller, limits, self.workers)
        owned = memory().owner.enter()
        self.context = SimpleNamespace(owned=owned, refs=Refs(memory(), owned.tag, 0))

    def start(
        self, path: Path, stops: Mapping[str, str], values: Mapping[str, Any], streams: bool = False
    ) -> Answer:
        answer = Answer(streams)
        compiled = compile_fused("test", fuse(path, self.model, stops, self.targets))
        replay = Replay(compiled, _request(values), answer, self.caller, self.context)
        self.workers.submit(lambda: self.engine.run(replay))
        return answer


def _request(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: np.array(
            [[each.encode()] for each in value] if isinstance(value, list) else [value.encode()], object
        )
        for name, value in values.items()
    }


@st.composite
def splits(draw: st.DrawFn) -> tuple[Path, dict[str, str]]:
    path = draw(paths())
    stops = {each.id: draw(st.sampled_from(["E", "F", each.component])) for each in path.invocations}
    return path, stops


@pytest.mark.parametrize("large_bytes", [0, 16 * 1024], ids=["by ref", "inline"])
@settings(deadline=None, max_examples=100)
@given(split=splits(), streams=st.booleans())
def test_any_path_split_in_any_way_gives_what_running_it_directly_gives(
    large_bytes: int, split: Any, streams: bool
) -> None:
    path, stops = split
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(part, "_LARGE_BYTES", large_bytes)
        split_model = Split(MODEL, COMPONENTS)
        answer = split_model.start(path, stops, VALUES, streams)
        outputs = {name: _read(value) for name, value in answer.wait().items()}
    answer.pieces = [(name, _read(value)) for name, value in answer.pieces]
    split_model.context.owned.end()
    for name in dict.fromkeys(name for name, _ in answer.pieces):
        assert name not in outputs
        outputs[name] = join(
            [piece for key, piece in answer.pieces if key == name], MODEL.ports.outputs[name]
        )
    expected = evaluate(path, MODEL, VALUES, COMPONENTS)
    assert text(outputs) == text(expected, outputs if streams else None)


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [*map(_read, value)]
    return value.item if isinstance(value, RefValue) else value


def text(outputs: Mapping[str, Any], like: Mapping[str, Any] | None = None) -> dict[str, list[str]]:
    found = {name: [*_flat(value)] for name, value in outputs.items()}
    return {name: value for name, value in found.items() if like is None or name in like or value != [""]}


def _flat(value: Any) -> Iterator[str]:
    if isinstance(value, (list, np.ndarray)):
        for each in value:
            yield from _flat(each)
    else:
        yield value.decode() if isinstance(value, bytes) else value


def chain(*names: str) -> Path:
    """Each takes the one before."""
    sources = [Input("x"), *(Output(name, "y") for name in names)]
    invocations = [
        Invocation(name, name, {"x": source}) for name, source in zip(names, sources, strict=False)
    ]
    return Path((), tuple(invocations), {"y": sources[-1]})


def unary(*names: str) -> ModelSignature:
    return ModelSignature("m", Signature({"x": ONE}, {"y": ONE}), dict.fromkeys(names, UNARY))


def test_one_call_runs_a_whole_path_and_requests_are_joined_to_batches_inside() -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(inputs: dict[str, Any]) -> dict[str, str]:
        begun.set()
        assert go.wait(PATIENCE_S)
        return {"y": inputs["x"] + "b"}

    split = Split(unary("a", "b"), {"a": lambda inputs: {"y": inputs["x"] + "a"}, "b": slow}, max_batch=4)
    answers = [split.start(chain("a", "b"), {"a": "E", "b": "E"}, {"x": str(n)}) for n in range(3)]
    assert begun.wait(PATIENCE_S)
    while len(split.parts["a"].batches) < 3 and sum(split.parts["a"].batches) < 3:
        pass
    go.set()
    assert [text(answer.wait())["y"] for answer in answers] == [[f"{n}ab"] for n in range(3)]
    assert split.caller.calls == ["a+b"] * 3
    assert max(split.parts["b"].batches) > 1


def test_a_member_that_fails_is_named_and_the_others_are_not_called() -> None:
    def fail(inputs: dict[str, Any]) -> dict[str, str]:
        raise ValueError("no")

    split = Split(unary("a", "b"), {"a": fail, "b": fail})
    with pytest.raises(CallError, match=r"^component a: ValueError: no$"):
        split.start(chain("a", "b"), {"a": "E", "b": "E"}, {"x": ""}).wait()
    assert split.parts["b"].batches == []


def test_what_another_executor_needs_leaves_before_the_call_is_through() -> None:
    heard = threading.Event()

    def wait(inputs: dict[str, Any]) -> dict[str, str]:
        assert heard.wait(PATIENCE_S), "the other executor was not called meanwhile"
        return {"y": "late"}

    def hear(inputs: dict[str, Any]) -> dict[str, str]:
        heard.set()
        return {"y": inputs["x"].upper()}

    model = ModelSignature("m", Signature({"x": ONE}, {"y": ONE, "z": ONE}), dict.fromkeys("abc", UNARY))
    split = Split(model, {"a": lambda inputs: {"y": inputs["x"]}, "b": wait, "c": hear})
    fork = [
        Invocation("a", "a", {"x": Input("x")}),
        Invocation("b", "b", {"x": Output("a", "y")}),
        Invocation("c", "c", {"x": Output("a", "y")}),
    ]
    path = Path((), tuple(fork), {"y": Output("b", "y"), "z": Output("c", "y")})
    answer = split.start(path, {"a": "E", "b": "E", "c": "F"}, {"x": "x"})
    assert text(answer.wait()) == {"y": ["late"], "z": ["X"]}


def test_a_member_may_write_to_its_inputs_and_reuse_its_outputs() -> None:
    class Scribble:
        def __init__(self) -> None:
            self.memory = np.zeros(2, np.float32)

        def __call__(self, items: list[Any]) -> list[Any]:
            x = items[0]["x"]
            x += 1
            self.memory[:] = x
            return [{"y": self.memory}]

    port = Port("FP32", (2,))
    model = ModelSignature("m", Signature({}, {}), {"a": Signature({"x": port}, {"y": port})})
    local = Local(model, {"a": Scribble()}, 1)
    steps = [
        {"id": "a", "component": "m/a", "inputs": {"x": {"input": "0"}}, "over": None},
        {"id": "b", "component": "m/a", "inputs": {"x": {"output": "y", "of": "a"}}, "over": None},
        {"id": "c", "component": "m/a", "inputs": {"x": {"output": "y", "of": "a"}}, "over": None},
    ]
    outputs = {name: {"output": "y", "of": name} for name in "abc"}
    path = json.dumps({"guards": [], "invocations": steps, "outputs": outputs}).encode()
    values = {"path": np.frombuffer(path, np.uint8), "0": np.zeros(2, np.float32)}
    [got] = local.call(pack(values, {"streams": False}))
    assert {name: value.tolist() for name, value in got.items()} == {"a": [1, 1], "b": [2, 2], "c": [2, 2]}


@pytest.mark.parametrize(
    "parcel",
    [
        np.zeros(3, np.uint8),
        pack({}),
        pack({"path": np.frombuffer(b"nothing", np.uint8)}),
        pack(
            {"path": np.frombuffer(b'{"guards": [], "invocations": [], "outputs": {}}', np.uint8)},
            {"sequence": 1},
        ),
    ],
)
def test_calls_that_somebody_made_up_are_refused(parcel: Any) -> None:
    local = Local(unary("a"), {"a": Part(UNARY, lambda inputs: {"y": ""})}, 1)
    with pytest.raises(CallError) as caught:
        list(local.call(parcel))
    assert caught.value.code == "INVALID_ARG"


def test_a_cancelled_call_goes_no_further() -> None:
    def cancel(inputs: dict[str, Any]) -> dict[str, str]:
        for slot in range(len(executor.flags)):
            executor.flags[slot] = 1
        return {"y": ""}

    split = Split(unary("a", "b"), {"a": cancel, "b": lambda inputs: {"y": ""}})
    executor = split.caller._executors["E"]
    with pytest.raises(CallError, match="cancelled") as caught:
        split.start(chain("a", "b"), {"a": "E", "b": "E"}, {"x": ""}).wait()
    assert caught.value.code == "CANCELLED"
    assert split.parts["b"].batches == []
