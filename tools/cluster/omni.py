"""The example with real weights on three nodes: its plan, its requests and their answers, its judge."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cluster.asking import Query, Way
from cluster.servers import Front
from corntriton.planner.plan import Plan
from corntriton.serving.client import Array
from corntriton.spec.load import LoadedModel, load_models

OMNI = Path(__file__).parents[2] / "examples" / "omni"
sys.path.insert(0, str(OMNI))  # its scripts import each other from there

import checks  # noqa: E402
import demo  # noqa: E402
import plans  # noqa: E402
from session import Exchange, Session  # noqa: E402

# Speech may differ by so much, of samples from -1 to 1: batches of other sizes are summed in another order.
_INAUDIBLE = 1e-2


@dataclass(frozen=True)
class Known:
    """A request, with the answer that was judged to be right.

    Attributes:
        request_type: Of it.
        query: It, for the way on which it was first asked.
        answer: By output.
    """

    request_type: str
    query: Query
    answer: Mapping[str, Array]

    def by(self, way: Way) -> Query:
        """The same, sent in another way."""
        return Query("omni", self.query.inputs, self.query.outputs, self.query.parameters, way)


def make(folder: Path) -> Plan:
    """Plans and builds as one would by hand; the folder then holds plan.json and build."""
    return plans.make_plan(plans.THREE_NODES, folder, plans.THREE_NODES_HZ)


def model() -> LoadedModel:
    """The example's model."""
    return load_models([plans.MODEL])[0]


def converse(front: Front, metrics_urls: Sequence[str]) -> Iterator[Exchange]:
    """The demo's nine requests, one after the other, each judged by the demo's own checks."""
    return demo.converse(_FrontSession(front, metrics_urls))


def known(exchange: Exchange) -> Known:
    """What later requests are compared with."""
    spec = model().spec.request_types[exchange.request_type]
    query = Query("omni", exchange.inputs, spec.outputs, spec.parameters)
    answer = {name: _array(exchange.answer[name]) for name in spec.outputs}
    return Known(exchange.request_type, query, answer)


def is_right(request: Known, outputs: Mapping[str, Array]) -> bool:
    """Whether an answer is the right one: texts to the letter, speech by ear, pictures by what they show."""
    return all(_alike(name, right, outputs[name]) for name, right in request.answer.items())


def is_equal(request: Known, outputs: Mapping[str, Array]) -> bool:
    """Whether an answer is the known one to the last bit."""
    return all(np.array_equal(right, outputs[name]) for name, right in request.answer.items())


def sizes(request: Known) -> dict[str, int]:
    """Bytes of its inputs and outputs, by name."""
    values = {**request.query.inputs, **request.answer}
    return {name: _nbytes(value) for name, value in values.items()}


def _nbytes(value: Any) -> int:
    if isinstance(value, np.ndarray) and value.dtype != np.object_:
        return value.nbytes
    if isinstance(value, (str, bytes)):
        return len(value)
    return sum(map(_nbytes, value))


def _alike(output: str, right: Array, given: Array) -> bool:
    if np.array_equal(right, given):
        return True
    if output == "speech":
        return right.shape == given.shape and bool(np.abs(right - given).max() < _INAUDIBLE)
    return output == "image" and checks.digit_in(right.item()) == checks.digit_in(given.item())


def _array(value: Any) -> Array:
    if isinstance(value, np.ndarray):
        return value
    return np.array([value.encode() if isinstance(value, str) else value], np.object_)


@dataclass(frozen=True)
class _Urls:
    http_url: str
    grpc_url: str
    metrics_url: str


class _FrontSession(Session):
    """A session whose requests enter at any of several servers."""

    def __init__(self, front: Front, metrics_urls: Sequence[str]) -> None:
        super().__init__(_Urls(front.http_url, front.grpc_url, metrics_urls[0]), model())  # type: ignore[arg-type]
        self._all = [f"http://{url}/metrics" for url in metrics_urls]

    def _samples(self) -> Iterator[Any]:
        for url in self._all:
            self._metrics_url = url
            yield from super()._samples()
