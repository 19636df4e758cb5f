"""One run of a flow on symbols, with every list at its concrete length: facts enter, a flat path leaves."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from corntriton.errors import InvalidRequestError
from corntriton.record.arguments import bind, bind_input
from corntriton.record.errors import RecordError, choose
from corntriton.record.facade import Components, Request
from corntriton.record.facts import ANSWERS, Answer, Facts
from corntriton.record.flow import Flow, line_of
from corntriton.record.path import Argument, Chunks, Guard, Invocation, Path
from corntriton.record.signature import ModelSignature, Signature
from corntriton.record.symbols import Handle

Turn = tuple[str, int]


class Trace:
    """Runs a flow once.

    Args:
        flow: The flow.
        model: What the flow may see and call.
        facts: What it may ask.
        exact: Lists whose loops consult the length, and not only whether there is any element.
        on_invocation: Called with each invocation as the flow makes it.

    Attributes:
        turns: For each invocation, the turns of loops over input lists that it was made in.
    """

    def __init__(
        self,
        flow: Flow,
        model: ModelSignature,
        facts: Facts,
        exact: frozenset[str] = frozenset(),
        on_invocation: Callable[[Invocation], None] | None = None,
    ) -> None:
        self.model = model
        self.turns: list[tuple[Turn, ...]] = []
        self._flow = flow
        self._facts = facts
        self._exact = exact
        self._on_invocation = on_invocation
        self._guards: dict[tuple[str, str], Answer] = {}
        self._invocations: list[Invocation] = []
        self._calls: Counter[str] = Counter()
        self._open_turns: list[Turn] = []
        self._failure: BaseException | None = None
        self._returned = False

    def run(self) -> Path:
        """The path of exactly these facts.

        Raises:
            RecordError: The flow cannot be recorded, or it raised an exception.
        """
        try:
            returned = self._flow.function(Request(self), Components(self))
            self._returned = True
            outputs = self._outputs(returned) if self._failure is None else {}
        except (Exception, SystemExit) as error:  # a flow must not end the process that records it
            if self._failure is None:
                self._failure = self._explained(error)
        if self._failure is not None:  # also where the flow caught it
            raise self._failure
        guards = tuple(Guard(kind, name, value) for (kind, name), value in self._guards.items())
        return Path(guards, tuple(self._invocations), outputs)

    def consult(self, kind: str, name: str) -> Answer:
        """The answer to a question about the request, which becomes a guard."""
        key = (kind, name)
        if key not in self._guards:
            self._guards[key] = ANSWERS[kind](self._facts, name)
        return self._guards[key]

    def consult_count(self, name: str) -> int:
        """The length of a list."""
        count = self.consult("count", name)
        return count if isinstance(count, int) else 0

    def consult_each(self, name: str) -> int:
        """The length of a list that is looped over; the guard is only whether it is 0, unless it is exact."""
        if name in self._exact or ("count", name) in self._guards:
            return self.consult_count(name)
        return self._facts.counts[name] if self.consult("some", name) else 0

    @contextmanager
    def turn(self, name: str, index: int) -> Iterator[None]:
        """Inside, invocations belong to one turn of a loop over a list."""
        self._open_turns.append((name, index))
        try:
            yield
        finally:
            self._open_turns.remove((name, index))

    def invoke(self, component: str, given: Mapping[str, Any]) -> Handle:
        """Notes a call of a component."""
        signature = self.model.components[component]
        for name in given:
            if name not in signature.inputs:
                advice = choose(name, signature.inputs)
                raise self.refusal(f"`{component}` has no input `{name}`", f"use an input it has: {advice}")
        inputs = self._inputs(component, signature, given)
        chunked = [name for name, argument in inputs.items() if isinstance(argument, Chunks)]
        if len(chunked) > 1:
            both = " and ".join(f"`{name}`" for name in chunked)
            fix = "pass chunks to one input, and whole values to others"
            raise self.refusal(f"`{component}` takes both {both} in chunks", fix)
        return self._note(component, inputs, signature.streaming or bool(chunked))

    def _inputs(self, component: str, signature: Signature, given: Mapping[str, Any]) -> dict[str, Argument]:
        inputs: dict[str, Argument] = {}
        for name, port in signature.inputs.items():
            place, value = f"input `{name}` of `{component}`", given.get(name)
            if value is not None:
                inputs[name] = bind_input(value, port, place, self)
            elif not port.optional:
                what = "is given None, and is required" if name in given else "is required, and not given"
                raise self.refusal(f"{place} {what}", f"pass {name}=..., or declare it as optional")
        return inputs

    def _note(self, component: str, inputs: Mapping[str, Argument], stream: bool) -> Handle:
        self._calls[component] += 1
        number = self._calls[component]
        invocation = Invocation(component if number == 1 else f"{component}.{number}", component, inputs)
        self._invocations.append(invocation)
        self.turns.append(tuple(self._open_turns))
        if self._on_invocation:
            try:
                self._on_invocation(invocation)
            except Exception as error:
                self._failure = error
                raise
        return Handle(self, invocation.id, self.model.components[component], stream)

    def _outputs(self, returned: Any) -> dict[str, Argument]:
        ports = self.model.ports.outputs
        if not isinstance(returned, Mapping):
            what = f"the flow returns a {type(returned).__name__}"
            raise self.refusal(what, 'return a dict of outputs: {"answer": value}')
        for name in returned:
            if name not in ports:
                advice = choose(str(name), ports)
                raise self.refusal(f"the model has no output `{name}`", f"return an output it has: {advice}")
        outputs: dict[str, Argument] = {}
        for name, port in ports.items():
            value = returned.get(name)
            if value is not None:
                outputs[name] = bind(value, port, f"output `{name}`", self)
            elif not port.optional and self.consult("wants", name):
                fix = f"return it, skip it only if not request.wants({name!r}), or declare it as optional"
                raise self.refusal(f"the flow returns no `{name}`, which is wanted and not optional", fix)
        return outputs

    def refusal(self, what: str, fix: str) -> RecordError:
        """The error to raise, which names the line of the flow that is being run.

        It is kept as well: a flow that catches it is refused all the same.
        """
        frame: FrameType | None = None if self._returned else sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != self._flow.code_file:
            frame = frame.f_back
        line = frame.f_lineno if frame is not None else self._return_line()
        failure = RecordError.at(self._flow.file, line, what, fix)
        self._failure = failure
        return failure

    def _return_line(self) -> int:
        """Runs the flow once more, to see which of its return statements it leaves by."""
        code, line = self._flow.function.__code__, self._flow.line
        again = Trace(self._flow, self.model, self._facts, self._exact)

        def watch(frame: FrameType, event: str, _: object) -> None:
            nonlocal line
            if event == "return" and frame.f_code is code:
                line = frame.f_lineno

        before = sys.getprofile()
        sys.setprofile(watch)
        try:
            with suppress(Exception):  # a flow that is no function of the request may fail this time
                self._flow.function(Request(again), Components(again))
        finally:
            sys.setprofile(before)
        return line

    def _explained(self, error: BaseException) -> RecordError:
        line = line_of(error, self._flow.code_file) or self._flow.line
        what = f"the flow raised {type(error).__name__}: {error}"
        fix = "correct the line; values are not computed yet while the flow runs: components work on them"
        if isinstance(error, InvalidRequestError):
            what, fix = f"the flow refuses the request: {error}", "send a request that it serves"
        explained = RecordError.at(self._flow.file, line, what, fix)
        explained.__cause__ = error
        return explained
