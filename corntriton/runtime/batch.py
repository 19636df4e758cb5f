"""Computes the requests of a batch in one call of the component, so that each answers for itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from corntriton.runtime import life
from corntriton.runtime.answer import Ports, RefusedError, failure_of
from corntriton.runtime.item import Item
from corntriton.runtime.messages import Call, Failure
from corntriton.runtime.shm.errors import ArenaError
from corntriton.runtime.tensors import Array

Component = Callable[[list[Item]], Sequence[Any]]
Result = dict[str, Array] | Failure


class BatchRunner:
    """Calls a component for batches.

    Args:
        component: Takes a list of items, returns as many results.
        ports: Checks both.
        repeatable: When a call for several requests raises, each may be computed again alone, so that
            one of them does not fail its neighbours.
    """

    def __init__(self, component: Component, ports: Ports, repeatable: bool) -> None:
        self._component = component
        self._ports = ports
        self._repeatable = repeatable

    def run(self, calls: Sequence[Call], flags: Sequence[int]) -> list[Result]:
        """The result of each call; call i is cancelled once flags[i] is not 0."""
        results: list[Result | None] = [None] * len(calls)
        started: list[tuple[int, list[Item]]] = []
        for slot, call in enumerate(calls):
            try:
                started.append((slot, self._ports.items(call, flags, slot)))
            except Exception as error:  # refused, or made up so cleverly that nobody thought of it
                results[slot] = failure_of(error)
        if started:
            computed = self._compute([(calls[slot], items) for slot, items in started])
            for (slot, _), result in zip(started, computed, strict=True):
                results[slot] = result
        return [result for result in results if result is not None]

    def _compute(self, work: Sequence[tuple[Call, list[Item]]]) -> list[Result]:
        life.due_ns.set(max(call.deadline_ns or 0 for call, _ in work))
        try:
            per_item = self._invoke([item for _, items in work for item in items])
        except Exception as error:
            if len(work) > 1 and self._repeatable:
                return [self._compute([one])[0] for one in work]
            failure = failure_of(error)
            return [self._ports.loss(items) or failure for _, items in work]
        results = []
        for call, items in work:
            result = self._result(call, per_item[: len(items)])
            results.append(self._ports.loss(items) or result)
            per_item = per_item[len(items) :]
        return results

    def _invoke(self, items: list[Item]) -> Sequence[Any]:
        results = self._component(items)
        if not isinstance(results, (list, tuple)):
            raise TypeError(f"it must return a list with one entry per item, not {type(results).__name__}")
        if len(results) != len(items):
            raise TypeError(f"it must return one entry per item: {len(results)} for {len(items)} items")
        return results

    def _result(self, call: Call, per_item: Sequence[Any]) -> Result:
        try:
            outputs = self._ports.outputs(per_item, call)
            self._ports.check_complete(outputs, call.wanted)
        except (RefusedError, ArenaError) as error:
            return failure_of(error)
        return outputs
