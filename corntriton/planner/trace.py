"""A simulation as a trace that Perfetto and chrome://tracing open: a row per executor, a bar per step."""

from __future__ import annotations

import json
from pathlib import Path as File
from typing import Any

from corntriton.errors import Problem, UserError
from corntriton.planner.simulate import Simulation


def write_trace(simulation: Simulation, file: File) -> None:
    """Writes the trace of a simulation that kept its spans.

    Raises:
        UserError: The file cannot be written.
    """
    try:
        file.write_text(json.dumps(chrome_trace(simulation)), encoding="utf-8")
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise UserError(
            [Problem(str(file), "$", what, "name a file in a folder that you may write")]
        ) from None


def chrome_trace(simulation: Simulation) -> dict[str, Any]:
    """The spans in the Trace Event Format; times in microseconds.

    A step's bar starts when it is queued at its executor. Bars of one executor overlap: each request has
    a row of its own under the executor's name.
    See https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
    """
    executors = sorted({where for where, *_ in simulation.spans})
    number = {where: index for index, where in enumerate(executors)}
    names = [
        {"ph": "M", "name": "process_name", "pid": index, "args": {"name": where}}
        for where, index in number.items()
    ]
    bars = [
        {
            "ph": "X",
            "name": step,
            "pid": number[where],
            "tid": request,
            "ts": round(start_s * 1e6, 3),
            "dur": round((end_s - start_s) * 1e6, 3),
            "args": {"request": request},
        }
        for where, step, request, start_s, end_s in simulation.spans
    ]
    return {"traceEvents": names + bars, "displayTimeUnit": "ms"}
