"""What tritonclient raises as failures of ours: the far side's own with their code, or that it is lost."""

from __future__ import annotations

from typing import Any

from corntriton.runtime.failures import CallError, ServerLostError
from corntriton.runtime.transfer.settings import MODEL

# What the transfer model itself says begins so; an UNAVAILABLE that does not comes from the connection or
# from a server that is about to end.
PREFIX = f"{MODEL}: "
# In the text of failures for which a server that holds a tensor cannot be reached.
_LOST = " was lost: "
_CODES = {
    "StatusCode.INVALID_ARGUMENT": "INVALID_ARG",
    "StatusCode.NOT_FOUND": "NOT_FOUND",
    "StatusCode.UNAVAILABLE": "UNAVAILABLE",
    "StatusCode.UNIMPLEMENTED": "UNSUPPORTED",
    "StatusCode.CANCELLED": "CANCELLED",
    "StatusCode.DEADLINE_EXCEEDED": "UNAVAILABLE",
}
_UNREACHABLE = ("StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED")
# A stub that has died, which Triton does not replace.
_DEAD = "is not healthy"


class SourceLostError(ServerLostError):
    """A server on which a tensor lies was lost: not the one that was asked, but one that it asked itself."""


def told(address: str, error: Any) -> CallError:
    """The failure that an InferenceServerException of a call of the transfer model amounts to.

    Args:
        address: Whose.
        error: It.
    """
    text, status = error.message() or "", error.status() or ""
    if text.startswith(PREFIX):
        said = f"server {address}: {text[len(PREFIX) :]}"
        return SourceLostError(said) if _LOST in said else CallError(said, _CODES.get(status, "INTERNAL"))
    if status in _UNREACHABLE or _DEAD in text:
        return lost(f"server {address}", text)
    return CallError(f"server {address}: {text}", _CODES.get(status, "INTERNAL"))


def lost(what: str, why: str) -> ServerLostError:
    """The failure of what cannot be done as a server is away."""
    return ServerLostError(f"{what}{_LOST}{why}")
