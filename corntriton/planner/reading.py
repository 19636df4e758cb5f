"""Reads plan.json back; a file in, a Plan out."""

from __future__ import annotations

from pathlib import Path as File

from pydantic import ValidationError

from corntriton.errors import Problem, Problems, UserError
from corntriton.planner.plan import VERSION, Plan
from corntriton.spec.files import json_path, read_json


def read_plan(file: File | str) -> Plan:
    """The plan in a file.

    Raises:
        UserError: It cannot be read, or is no plan of this version.
    """
    problems = Problems()
    document = read_json(file, problems)
    problems.raise_if_any()
    again = "make it again: corntriton plan"
    data = document.data if document else None
    if not isinstance(data, dict) or data.get("version") != VERSION:
        what = f"is no plan of version {VERSION}"
        raise UserError([Problem(str(file), "$.version", what, again)])
    try:
        return Plan.from_json(data)
    except ValidationError as error:
        raise UserError(
            Problem(str(file), json_path(tuple(fault["loc"])), fault["msg"], again)
            for fault in error.errors(include_url=False)
        ) from None
