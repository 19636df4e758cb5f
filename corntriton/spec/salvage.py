"""Keeps what is valid of a model.yaml with errors, so that the rest of it can be checked in the same go."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from pydantic_core import ErrorDetails

from corntriton.errors import Problems
from corntriton.spec.files import Document, Place
from corntriton.spec.model import ModelSpec
from corntriton.spec.validation import did_you_mean, note_error, parse, place_of

# In place of what every model needs, where it is missing or invalid; never looked at.
_STAND_INS: dict[str | int, str] = {"model": "model", "flow": "flow.py:flow"}
_PORT_FIELDS = ("inputs", "outputs", "streaming")


@dataclass(frozen=True)
class Draft:
    """As much of a model.yaml as is valid.

    Attributes:
        spec: The file without its invalid parts, or None where too little is left.
        broken: The places that were invalid.
        ports_known: No port or component was invalid, so that the flow can be recorded.
    """

    spec: ModelSpec | None
    broken: tuple[Place, ...]
    ports_known: bool

    def is_broken(self, *place: str | int) -> bool:
        """Whether something at, in or around a place was invalid."""
        return any(place[: len(each)] == each[: len(place)] for each in self.broken)


def read_draft(document: Document, problems: Problems) -> Draft:
    """Validates a document, notes what is wrong, and keeps the rest."""
    spec, errors = parse(ModelSpec, document.data)
    for error in errors:
        note_error(error, ModelSpec, document, problems)
    broken = tuple(place_of(error, document.data) for error in errors)
    if spec is None:
        spec = _salvage(document.data)
    complete = spec is not None and len(spec.components) == len(document.data["components"])
    return Draft(spec, broken, complete and not any(_concerns_ports(place) for place in broken))


def _salvage(data: Any) -> ModelSpec | None:
    """Cuts out what is invalid, one part at a time: a cut may leave what is around it invalid."""
    data = copy.deepcopy(data)
    spec, errors = parse(ModelSpec, data)
    while errors:
        if not _mend(data, errors[0]):
            return None
        spec, errors = parse(ModelSpec, data)
    return spec


def _mend(data: Any, error: ErrorDetails) -> bool:
    """Fills in a stand-in, or cuts; False where nothing is left to cut."""
    place = place_of(error, data)
    if error["type"] == "missing":
        if len(place) == 1 and place[0] in _STAND_INS:
            data[place[0]] = _STAND_INS[place[0]]
            return True
        place = place[:-1]
    if not place:
        return False
    for key in place[:-1]:
        data = data[key]
    del data[place[-1]]
    return True


def _concerns_ports(place: Place) -> bool:
    if place[:1] == ("components",):
        return len(place) < 3 or did_you_mean(str(place[2]), _PORT_FIELDS) is not None
    return place[:1] in ((), ("inputs",), ("outputs",))
