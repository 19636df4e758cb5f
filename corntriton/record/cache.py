"""Keeps recorded paths: the facts of a request enter, the name of its path and the flat path leave."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

from corntriton.record.codec import path_to_json
from corntriton.record.expansion import expand, lists_of
from corntriton.record.facts import ANSWERS, Answer, Facts
from corntriton.record.flow import Flow
from corntriton.record.path import Path
from corntriton.record.recording import fits, record
from corntriton.record.signature import ModelSignature

_Key = tuple[type, Answer]


@dataclass(frozen=True, eq=False)
class _Entry:
    """A path that is kept.

    Attributes:
        name: How metrics and messages call it.
        path: As recorded.
        lists: The lists that it is mapped over.
    """

    name: str
    path: Path
    lists: tuple[str, ...]

    def at(self, facts: Facts) -> _Place:
        """The entry with the lengths of its lists."""
        return self, tuple([facts.counts.get(name, 0) for name in self.lists])


_Place = tuple[_Entry, tuple[int, ...]]


class _Node:
    """A question about the facts, and what follows from each answer.

    A deterministic flow asks one first question, and one next question after each answer. Only where a
    list is mapped in some paths and unrolled in others do two questions stand at one node.
    """

    __slots__ = ("entries", "questions")

    def __init__(self) -> None:
        self.questions: dict[tuple[str, str], dict[_Key, _Node]] = {}
        self.entries: list[_Entry] = []

    def add(self, entry: _Entry) -> None:
        node = self
        for guard in entry.path.guards:
            answers = node.questions.setdefault((guard.kind, guard.name), {})
            node = answers.setdefault((type(guard.value), guard.value), _Node())
        node.entries.append(entry)

    def matching(self, facts: Facts) -> Iterator[_Entry]:
        yield from self.entries
        for (kind, name), answers in self.questions.items():
            answer = ANSWERS[kind](facts, name)
            node = answers.get((type(answer), answer))
            if node is not None:
                yield from node.matching(facts)


class PathCache:
    """The paths of one model: those shipped with it, and those recorded since.

    Threads may share it. What is not known is recorded once: other threads wait for it.

    Args:
        flow: Recorded for facts that no kept path matches.
        model: What the flow may see and call.
        capacity: The most recorded paths kept, and the most expansions for given lengths; the least
            recently used goes first.
    """

    def __init__(self, flow: Flow, model: ModelSignature, capacity: int = 256) -> None:
        self._flow = flow
        self._model = model
        self._capacity = capacity
        self._shipped: list[_Entry] = []
        self._recorded: OrderedDict[_Entry, None] = OrderedDict()
        # None where a path proved wrong for these lengths.
        self._flats: OrderedDict[_Place, Path | None] = OrderedDict()
        self._root = _Node()
        self._lock = Lock()  # of the entries; held for microseconds
        self._recording = Lock()  # held while the flow runs

    def preload(self, name: str, path: Path) -> None:
        """Keeps a path recorded before, such as a request type's, for good."""
        entry = _Entry(name, path, lists_of(path))
        with self._lock:
            self._shipped.append(entry)
            self._root.add(entry)

    def get(self, facts: Facts) -> tuple[str, Path]:
        """The name and the flat path of a request with these facts.

        Raises:
            RecordError: The facts are new, and the flow cannot be recorded for them. Nothing is kept of it.
        """
        found = self._known(facts)
        if found is None:
            with self._recording:
                found = self._known(facts) or self._confirm(facts) or self._record(facts)
        return found

    def _known(self, facts: Facts) -> tuple[str, Path] | None:
        with self._lock:
            for entry in self._root.matching(facts):
                place = entry.at(facts)
                flat = self._flats.get(place)
                if flat is not None:
                    if entry in self._recorded:
                        self._recorded.move_to_end(entry)
                    self._flats.move_to_end(place)
                    return entry.name, flat
        return None

    def _confirm(self, facts: Facts) -> tuple[str, Path] | None:
        """A mapped path that proves right for lengths it was not used for before."""
        with self._lock:
            entries = [*self._root.matching(facts)]
        for entry in entries:
            place = entry.at(facts)
            if place in self._flats:
                continue
            right = not entry.lists or fits(entry.path, self._flow, self._model, facts)
            flat = expand(entry.path, facts.counts) if right else None
            self._keep_flat(place, flat)
            if flat is not None:
                return entry.name, flat
        return None

    def _record(self, facts: Facts) -> tuple[str, Path]:
        path = record(self._flow, self._model, facts)
        data = json.dumps(path_to_json(path), sort_keys=True)
        name = f"recorded-{hashlib.sha256(data.encode()).hexdigest()[:8]}"
        flat = expand(path, facts.counts)
        entry = _Entry(name, path, lists_of(path))
        self._keep(entry)
        self._keep_flat(entry.at(facts), flat)
        return name, flat

    def _keep(self, entry: _Entry) -> None:
        with self._lock:
            self._recorded[entry] = None
            self._root.add(entry)
            if len(self._recorded) > self._capacity:
                self._recorded.popitem(last=False)
                self._root = _Node()
                for kept in (*self._shipped, *self._recorded):
                    self._root.add(kept)

    def _keep_flat(self, place: _Place, flat: Path | None) -> None:
        with self._lock:
            self._flats[place] = flat
            if len(self._flats) > self._capacity:
                self._flats.popitem(last=False)
