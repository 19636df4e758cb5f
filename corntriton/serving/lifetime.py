"""What one starts and stops: all of it is ready, or nothing of it is left."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

from corntriton.errors import CorntritonError

_PORT_ATTEMPTS = 5
_Self = TypeVar("_Self", bound="Lifetime")


class ServerError(CorntritonError):
    """Tritonserver ended, or did not become ready; the message says why, from its log."""


class PortTakenError(ServerError):
    """Another process took one of the ports after they were chosen."""


class Lifetime(ABC):
    """From start to stop; as a context, too.

    Attributes:
        any_free: Its ports are any free ones: where another process is faster to take one, it takes others.
    """

    any_free: bool

    def __enter__(self: _Self) -> _Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts it and waits until all of it is ready.

        Raises:
            UserError: A given port is taken.
            ServerError: Something ended, or took too long. Nothing is left.
        """
        for attempt in range(_PORT_ATTEMPTS):
            try:
                self._start()
                return
            except PortTakenError:
                self.stop()
                if not self.any_free or attempt == _PORT_ATTEMPTS - 1:
                    raise
            except BaseException:
                self.stop()
                raise

    @abstractmethod
    def stop(self) -> None:
        """Ends it; returns when everything of it is gone."""

    @abstractmethod
    def _start(self) -> None:
        """One attempt; what it leaves when it fails, `stop` removes."""
