"""A flow's interface in plain Python, which knows nothing of symbols, paths or guards: the judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from corntriton.record.direct import facts_of
from corntriton.record.facts import Facts
from corntriton.record.flow import Flow
from corntriton.record.signature import ModelSignature, Port, Signature

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
                key: plain(value) for key, value in inputs.items() if key not in chunks and value is not None
            }
            calls = [{**whole, key: chunk} for key in chunks for chunk in chunks[key]] or [whole]
            results = [COMPONENTS[name](each) for each in calls]
            outputs = {key: Plain("".join(result[key] for result in results)) for key in results[0]}
            return type("Outputs", (), outputs)

        return call


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.value if isinstance(value, Plain) else value


def judge(flow: Flow, call: Call) -> dict[str, Any]:
    outputs = flow.function(PlainRequest(call), PlainComponents())
    return {name: plain(value) for name, value in outputs.items()}
