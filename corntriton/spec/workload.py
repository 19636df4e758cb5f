"""workload.yaml: what is asked for and how fast it must be; a file in, a frozen Workload out."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from corntriton.errors import Problems
from corntriton.spec.files import Document, read_yaml
from corntriton.spec.validation import Frozen, choose, validate


class Work(Frozen):
    """Work of one run of a component, in the unit of its profile; a plain number never varies."""

    mean: float = Field(gt=0)
    """Mean over requests."""
    cv: float = Field(default=0.0, ge=0)
    """Coefficient of variation between requests; the distribution is taken for log-normal."""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, data: Any) -> Any:
        return {"mean": data} if isinstance(data, (int, float)) and not isinstance(data, bool) else data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, handler(core_schema)]}


class LatencyTarget(Frozen):
    """A promise: `percentile` % of the requests take at most `seconds`."""

    percentile: float = Field(default=99.0, gt=0, lt=100)
    """In percent."""
    of: Literal["completion", "first_chunk", "per_token"] = "completion"
    """What is timed; per_token: time after the first chunk, per unit of the answering component's work."""
    seconds: float = Field(gt=0)
    """The limit."""


class Traffic(Frozen):
    """What is known about the requests of one type."""

    share: float | None = Field(default=None, ge=0)
    """Its weight in the traffic; weights need not add up to one. Left out: taken from the trace."""
    work: Mapping[str, Work] = Field(default_factory=dict)
    """By component, or by invocation (`llm.2`); left out: what the profile was measured with, if only one."""
    chunks: Mapping[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """How many chunks a component, or invocation, that works chunk by chunk gets; default 1."""
    targets: tuple[LatencyTarget, ...] = ()
    """All must be met."""


class Pin(Frozen):
    """Where a component has to live."""

    device: str | None = None
    """A device type of the cluster."""
    nodes: tuple[str, ...] = ()
    """Node classes of the cluster; none: all."""


class Hints(Frozen):
    """What the planner obeys, whatever it would have chosen; components are named as in profiles."""

    colocate: tuple[tuple[str, ...], ...] = ()
    """Sets whose components live together always."""
    separate: tuple[tuple[str, ...], ...] = ()
    """Sets of which no two components live together."""
    pin: Mapping[str, Pin] = Field(default_factory=dict)
    """Components that have to live somewhere."""


class Workload(Frozen):
    """The traffic that a plan must carry."""

    rate_hz: float | None = Field(default=None, gt=0)
    """Requests per second, all types together. Left out: taken from the trace."""
    trace: str | None = None
    """A CSV file with the columns arrival_s and request_type, beside this file."""
    arrivals: tuple[tuple[float, str], ...] = ()
    """The trace itself, seconds from its first arrival and request type; filled in when the trace is read."""
    request_types: Mapping[str, Traffic] = Field(min_length=1)
    """By `model/type`, or `type` where one model has it."""
    ceiling: float = Field(default=0.85, gt=0, le=1)
    """Share of an executor's time that may be planned for; what is left keeps queues short."""
    hints: Hints = Hints()
    """What lives together, apart, or where."""


def read_workload(file: str, problems: Problems) -> Workload | None:
    """Reads workload.yaml and its trace; None, with problems noted, where they are not right.

    In what is returned, rate_hz is set and every share too; shares add up to one.
    """
    document = read_yaml(file, problems)
    workload = document and validate(Workload, document, problems)
    if not document or not workload:
        return None
    if workload.trace:
        return _from_trace(workload, document, problems)
    if workload.rate_hz is None:
        document.note(problems, ("rate_hz",), "is missing", "add rate_hz, or the name of a trace")
    for name, traffic in workload.request_types.items():
        if traffic.share is None:
            place = ("request_types", name, "share")
            document.note(problems, place, "is missing", "add the type's weight in the traffic")
    total = sum(traffic.share or 0 for traffic in workload.request_types.values())
    if not total:
        document.note(problems, ("request_types",), "have no share above 0", "give at least one a share")
    if problems:
        return None
    return _shared(workload, {name: (t.share or 0) / total for name, t in workload.request_types.items()})


def _shared(workload: Workload, shares: Mapping[str, float], **more: Any) -> Workload:
    types = {
        name: traffic.model_copy(update={"share": shares.get(name, 0.0)})
        for name, traffic in workload.request_types.items()
    }
    return workload.model_copy(update={"request_types": types, **more})


def _from_trace(workload: Workload, document: Document, problems: Problems) -> Workload | None:
    """The workload with the trace's rate and mix; a rate given beside it scales the trace."""
    arrivals = _arrivals(workload, document, problems)
    if len(arrivals) < 2 or arrivals[-1][0] <= arrivals[0][0]:
        document.note(problems, ("trace",), "spans no time", "give a trace of at least two arrivals")
        return None
    first, last = arrivals[0][0], arrivals[-1][0]
    rate_hz = workload.rate_hz or (len(arrivals) - 1) / (last - first)
    stretch = (len(arrivals) - 1) / (last - first) / rate_hz
    counts = Counter(name for _, name in arrivals)
    return _shared(
        workload,
        {name: count / len(arrivals) for name, count in counts.items()},
        rate_hz=rate_hz,
        arrivals=tuple(((time - first) * stretch, name) for time, name in arrivals),
    )


def _arrivals(workload: Workload, document: Document, problems: Problems) -> list[tuple[float, str]]:
    file = document.folder / str(workload.trace)
    found = []
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            for number, row in enumerate(csv.DictReader(lines), start=2):
                name = (row.get("request_type") or "").strip()
                if name not in workload.request_types:
                    fix = choose(name, workload.request_types, "describe it under request_types")
                    problems.add(
                        f"{file}:{number}", "request_type", f"{name!r} is not in {document.file}", fix
                    )
                found.append((float(row.get("arrival_s") or "nan"), name))
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        what = f"cannot be read: {' '.join(str(error).split())}"
        document.note(problems, ("trace",), what, "name a CSV file with the columns arrival_s,request_type")
        return []
    if any(time != time for time, _ in found):
        document.note(
            problems, ("trace",), "has rows without arrival_s", "give every row a number of seconds"
        )
        return []
    return sorted(found)
