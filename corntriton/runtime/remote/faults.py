"""What tritonclient raises for calls of components, as failures of ours: the far side's, or its loss."""

from __future__ import annotations

from typing import Any

from corntriton.runtime.failures import CallError, ServerLostError
from corntriton.runtime.remote.server import Server

_CODES = {
    "StatusCode.INVALID_ARGUMENT": "INVALID_ARG",
    "StatusCode.NOT_FOUND": "NOT_FOUND",
    "StatusCode.UNAVAILABLE": "UNAVAILABLE",
    "StatusCode.UNIMPLEMENTED": "UNSUPPORTED",
    "StatusCode.ALREADY_EXISTS": "ALREADY_EXISTS",
    "StatusCode.CANCELLED": "CANCELLED",
    "StatusCode.DEADLINE_EXCEEDED": "UNAVAILABLE",
}
# What components and their hosts say; servers that live say it.
_HOST = "component "
# What gRPC says of a connection that broke, or could not be made.
_BROKEN = (
    "failed to connect",
    "Failed to connect",
    "Socket closed",
    "Connection reset",
    "Connection refused",
    "Broken pipe",
    "Stream removed",
    "Transport closed",
    "GOAWAY",
    "RST_STREAM",
    "ping timeout",
    "No route to host",
    "unreachable",
    "Server is stopping",
    "Cancelling all calls",
)
# With these a server that lives refuses a call, and one that is about to end does too.
_DOUBTFUL = ("UNAVAILABLE", "CANCELLED", "NOT_FOUND")


async def told(server: Server, error: Any) -> CallError:
    """The failure that an error of a call of a component amounts to; a server that was lost is marked so.

    Args:
        server: Who was called.
        error: An InferenceServerException, or gRPC's own AioRpcError.
    """
    text = _text(error)
    failure = CallError(text, _CODES.get(_status(error), "INTERNAL"))
    if _HOST in text:
        return failure
    if any(sign in text for sign in _BROKEN):
        server.lose(text)
        return ServerLostError(f"server {server.address} was lost: {text}")
    return await doubted(server, failure)


async def doubted(server: Server, failure: CallError) -> CallError:
    """The loss of a server that a refusal amounts to, if it is about to end, or else the refusal.

    Who is about to end still answers the calls that it has: they are not to be given up.
    """
    if failure.code in _DOUBTFUL and not isinstance(failure, ServerLostError):
        await server.check()
        if not server.up:
            return ServerLostError(f"server {server.address} was lost: {failure}")
    return failure


def _text(error: Any) -> str:
    said = error.message() if hasattr(error, "message") else error.details()
    return said or "no reason given"


def _status(error: Any) -> str:
    return str(error.status() if hasattr(error, "status") else error.code())
