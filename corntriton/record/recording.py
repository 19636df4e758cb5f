"""Records a flow: facts enter, the path leaves that all requests with the same answers take."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace

from corntriton.record.canonical import same_flat
from corntriton.record.errors import RecordError
from corntriton.record.expansion import expand
from corntriton.record.facts import Facts
from corntriton.record.flow import Flow
from corntriton.record.generalise import NotAMapError, generalise
from corntriton.record.path import Path
from corntriton.record.signature import ModelSignature
from corntriton.record.trace import Trace

__all__ = ["RecordError", "fits", "record"]

# Two elements show what a turn is made of; one, three and the request's own number must confirm it.
_TRACED, _CONFIRMED = 2, (1, 3)


def record(flow: Flow, model: ModelSignature, facts: Facts) -> Path:
    """Records the path that requests with these facts take.

    A loop over an input list is mapped, so that the path serves any length, where its turns are alike;
    else the list is unrolled, and the path serves this length alone.

    Raises:
        RecordError: The flow looks into values that are not computed yet, calls a component wrongly,
            or raises.
    """
    straight = Trace(flow, model, facts).run()
    asked = {(guard.kind, guard.name): guard.value for guard in straight.guards}
    looped = [name for (kind, name), answer in asked.items() if kind == "some" and answer]
    candidates = [name for name in looped if ("count", name) not in asked]
    if not looped:
        return straight
    recording = _Recording(flow, model, facts, frozenset(looped))
    return recording.mapped(candidates) or recording.unrolled_where_needed(candidates)


def fits(path: Path, flow: Flow, model: ModelSignature, facts: Facts) -> bool:
    """Whether a path, expanded for the facts, is what the flow does: asked once per length not seen before.

    A flow can depend on a length unseen: `len(captions)` of a list that it made itself.
    """
    return _agrees(path, Trace(flow, model, facts, _unrolled(path)), facts.counts)


class _Recording:
    """The attempts to map one flow over its lists."""

    def __init__(self, flow: Flow, model: ModelSignature, facts: Facts, looped: frozenset[str]) -> None:
        self._flow = flow
        self._model = model
        self._facts = facts
        self._looped = looped

    def mapped(self, lists: list[str]) -> Path | None:
        """The path mapped over these lists and unrolled over the others; None when they cannot be mapped."""
        if not lists:
            return None
        try:
            trace = self._trace(dict.fromkeys(lists, _TRACED), set(lists))
            path = generalise(trace.run(), trace.turns, set(lists))
            for counts in (*(dict.fromkeys(lists, count) for count in _CONFIRMED), {}):
                if not _agrees(path, self._trace(counts, set(lists)), {**self._facts.counts, **counts}):
                    return None
        except (NotAMapError, RecordError):  # the flow may refuse lengths that the request does not have
            return None
        return path

    def unrolled_where_needed(self, lists: list[str]) -> Path:
        """The path mapped over as many lists as can be, taken in the order of their loops."""
        best: Path | None = None
        kept: list[str] = []
        for name in lists if len(lists) > 1 else []:
            path = self.mapped([*kept, name])
            if path is not None:
                best, kept = path, [*kept, name]
        return best or self._trace({}, set()).run()

    def _trace(self, counts: Mapping[str, int], mapped: Set[str]) -> Trace:
        facts = replace(self._facts, counts={**self._facts.counts, **counts})
        return Trace(self._flow, self._model, facts, self._looped - mapped)


def _agrees(path: Path, trace: Trace, counts: Mapping[str, int]) -> bool:
    return same_flat(expand(path, counts), trace.run())


def _unrolled(path: Path) -> frozenset[str]:
    return frozenset(guard.name for guard in path.guards if guard.kind == "count")
