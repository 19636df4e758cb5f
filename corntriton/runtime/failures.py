"""Why requests fail: each sort of error with its code and text for the client, and its name on metrics."""

from __future__ import annotations

from pathlib import Path as File
from typing import Any

from corntriton.errors import UserError
from corntriton.runtime.compiled import Step
from corntriton.runtime.messages import INPUT_LOST, INVALID_REQUEST, PROCESS_ENDED
from corntriton.runtime.shm.errors import ArenaFullError, TooLargeError
from corntriton.runtime.tensors import BadValueError


class RequestError(Exception):
    """A failure with a text for the client; the class says which code and outcome it has.

    Attributes:
        code: A member of pb_utils.TritonError.
        outcome: As metrics call it.
    """

    code = "INTERNAL"
    outcome = "error"


class BadRequestError(RequestError):
    """The request itself is wrong."""

    code = "INVALID_ARG"


class DeadlineError(RequestError):
    """The request's time is up.

    Triton has no code for that; its own queues answer UNAVAILABLE (HTTP 503) to a request that waited
    too long, and so do we.
    """

    code = "UNAVAILABLE"
    outcome = "deadline"


class ClientLeftError(RequestError):
    """The client has cancelled the request, or closed its connection."""

    code = "CANCELLED"
    outcome = "cancelled"


class OverloadError(RequestError):
    """The orchestrator has as many requests as it may hold, or is about to end."""

    code = "UNAVAILABLE"
    outcome = "refused"


class MissingInputError(RequestError):
    """A component needs an input that has no value."""


# WAR (24.10): BLS gives every failure of a call the code INTERNAL; what the server and our component
# host write tells them apart. Goes when BLS passes the code on.
_CODES_BY_TEXT = (
    ("unexpected shape for input", "INVALID_ARG", "error"),
    (": the input ", "INVALID_ARG", "error"),
    ("has no room for", "UNAVAILABLE", "error"),
    (f": {INVALID_REQUEST}: ", "INVALID_ARG", "error"),
    ("Request timeout expired", "UNAVAILABLE", "deadline"),
    (": the deadline passed", "UNAVAILABLE", "deadline"),
    ("Exceeds maximum queue size", "UNAVAILABLE", "error"),
    ("not ready", "UNAVAILABLE", "error"),
    ("is not healthy", "UNAVAILABLE", "error"),
    (PROCESS_ENDED, "UNAVAILABLE", "error"),
    (INPUT_LOST, "UNAVAILABLE", "error"),
)
# How a call ends whose process is gone: the component's host says the one, the server the other of the host.
_DIED = (PROCESS_ENDED, "is not healthy")


class CallError(RequestError):
    """A call of a component failed; the text is the component's own, or the server's."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code
        if code == "INTERNAL":
            found = ((code, outcome) for sign, code, outcome in _CODES_BY_TEXT if sign in text)
            self.code, self.outcome = next(found, (code, "error"))

    @property
    def process_died(self) -> bool:
        """Another process may do better."""
        return any(sign in str(self) for sign in _DIED)

    @property
    def input_lost(self) -> bool:
        """The same process may do better, when whoever made its inputs has made them again."""
        return INPUT_LOST in str(self)


class ServerLostError(CallError):
    """Another server went away that worked for the request, or had tensors of it; another one may do better.

    The call cannot be repeated, as what it needs may be lost too: the request has to begin anew.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text, "UNAVAILABLE")

    @property
    def process_died(self) -> bool:
        """Whatever it says: it is not for the same call to do better."""
        return False

    @property
    def input_lost(self) -> bool:
        """The same."""
        return False


def as_failure(error: BaseException) -> RequestError:
    """The failure that an exception amounts to."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, UserError):
        # The flow's, on facts that are new. Where the server keeps the file is not the client's business.
        return BadRequestError("\n".join(_without_folder(problem) for problem in error.problems))
    if isinstance(error, BadValueError):
        return BadRequestError(str(error))
    if isinstance(error, ArenaFullError):
        return OverloadError(str(error))
    if isinstance(error, TooLargeError):
        return RequestError(f"{error}; To fix: raise arena.max_bytes of the model")
    return RequestError(f"{type(error).__name__}: {error}")


def message(model: str, path: str | None, step: Step | None, failure: RequestError) -> str:
    """What the client reads: where it happened, and what did."""
    place = [f"model {model}"]
    if path is not None:
        place.append(f"path {path}")
    text = str(failure)
    if text.startswith("in ensemble '"):  # a path that is one call; a component's host says which it was
        text = text.partition("', ")[2]
        return f"{', '.join(place)}{', ' if text.startswith('component ') else ': '}{text}"
    if step is not None:
        # What failed is named by its host too, inside what Triton wraps around.
        host = step.component if step.group is None else step.target
        text = text.rpartition(f"component {host}: ")[2]
        if step.group is None:
            place.append(f"component {step.id}")
        elif text.startswith("component "):  # the executor says which of its members it was
            return f"{', '.join(place)}, {text}"
        else:
            place.append(f"executor {step.target}")
    return f"{', '.join(place)}: {text}"


def _without_folder(problem: Any) -> str:
    return f"{File(problem.file).name}: {problem.path}: {problem.what}; To fix: {problem.fix}"
