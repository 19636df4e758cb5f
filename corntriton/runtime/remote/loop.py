"""An event loop on a thread of its own: coroutines go in, their results come out to the threads that wait."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from corntriton.runtime.failures import ClientLeftError

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for threads.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What the coroutine returns or raises; blocks, and is not for the loop's own thread.

        Raises:
            ClientLeftError: It was cancelled, as nobody waits for it.
        """
        return outcome(self.start(coroutine))

    def start(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Runs it without waiting."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def soon(self, function: Callable[[], object]) -> None:
        """Calls a function on the loop's thread."""
        self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        """Cancels what still runs, and ends the thread."""
        self.start(_cancel_others()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()


def outcome(running: concurrent.futures.Future[T]) -> T:
    """What a coroutine returns or raises, for threads; see LoopThread.run."""
    try:
        return running.result()
    except concurrent.futures.CancelledError:
        raise ClientLeftError("it is over") from None


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
