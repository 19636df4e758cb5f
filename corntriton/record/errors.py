"""The error of a flow that cannot be recorded: where in the flow, what is wrong, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from corntriton.errors import Problem, UserError


class RecordError(UserError):
    """A flow that cannot be recorded; each problem names the flow's file and line."""

    @classmethod
    def at(cls, file: str, line: int, what: str, fix: str) -> RecordError:
        """The error of one problem at one line."""
        return cls([Problem(file, f"line {line}", what, fix)])


def choose(name: str, known: Iterable[str]) -> str:
    """Advice for a name that is not known: the closest one, or all there are."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return "there is " + ", ".join(f"`{each}`" for each in names) if names else "there is none"
