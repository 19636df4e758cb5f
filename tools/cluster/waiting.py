"""Waits for servers; coroutines do so in short steps, so that Ctrl-C ends a program at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from cluster.server import Member

READY_WITHIN_S = 600.0
_POLL_S = 0.2


def await_ready(members: list[Member], timeout_s: float = READY_WITHIN_S) -> None:
    """Returns when all may be asked.

    Raises:
        TimeoutError: Some took too long.
    """
    give_up_s = time.monotonic() + timeout_s
    while missing := [member.name for member in members if not member.ready()]:
        if time.monotonic() > give_up_s:
            raise TimeoutError(f"{', '.join(missing)} not ready after {timeout_s:g} s")
        time.sleep(_POLL_S)


async def until(condition: Callable[[], bool], timeout_s: float) -> float:
    """Waits for a condition that is looked at in a thread; the seconds that it took.

    Raises:
        TimeoutError: It took longer.
    """
    began_s = time.monotonic()
    while not await asyncio.to_thread(condition):
        if time.monotonic() - began_s > timeout_s:
            raise TimeoutError(f"still not so after {timeout_s:g} s")
        await asyncio.sleep(_POLL_S)
    return time.monotonic() - began_s
