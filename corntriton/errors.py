"""Two branches of errors: the user's faults, collected and explained, and our own.

Standard library only: the build packs this module into every generated model.

    a file ──read──> Problems ──raise_if_any──> UserError ──cli──> every problem on stderr, exit code 2
    anything else ─────────────────────────────> CorntritonError ──cli──> one line on stderr, exit code 1
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class CorntritonError(Exception):
    """Base of every error that corntriton raises on purpose."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing a user has to fix: where it is, what is wrong, and how to mend it.

    Attributes:
        file: The file as the user named it.
        path: The place inside it, `$.components.llm.backend` for data, `line 12` for code.
        what: What is wrong, one clause, no full stop.
        fix: What to do about it, in the imperative, no full stop.
    """

    file: str
    path: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}: {self.path}: {self.what}; To fix: {self.fix}"


class UserError(CorntritonError):
    """The user's fault: carries every problem found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[UserError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class InvalidRequestError(CorntritonError):
    """The client's fault: a flow or a component that raises it refuses the request as INVALID_ARGUMENT."""


class Problems:
    """Collects problems while files are read, and raises them together."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def add(self, file: str, path: str, what: str, fix: str) -> None:
        """Notes one problem; a problem noted before is not noted again."""
        problem = Problem(file, path, what, fix)
        if problem not in self._found:
            self._found.append(problem)

    def extend(self, error: UserError) -> None:
        """Takes over the problems of an error that a callee raised."""
        for problem in error.problems:
            self.add(problem.file, problem.path, problem.what, problem.fix)

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_if_any(self) -> None:
        """Raises UserError with all problems noted so far, in the order of their discovery."""
        if self._found:
            raise UserError(self._found)
