"""plan.json: a Plan in, a file out, and back."""

from __future__ import annotations

import os
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


def write_plan(plan: Plan, file: File) -> None:
    """Saves a plan where a user wants it.

    Raises:
        UserError: The file cannot be written.
    """
    try:
        plan.save(file)
    except OSError as error:
        raise UserError([_unwritable(file, f"cannot be written: {error.strerror}")]) from None


def check_writable(file: File) -> None:
    """Refuses a place where no plan can be written, before anybody waits for one.

    Raises:
        UserError: It is a folder, or in none that may be written to.
    """
    if file.is_dir():
        raise UserError([_unwritable(file, "is a folder")])
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise UserError([_unwritable(file, "cannot be written")])


def _unwritable(file: File, what: str) -> Problem:
    return Problem(str(file), "$", what, "name a file in a folder that you may write to")
