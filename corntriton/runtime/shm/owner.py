"""The requests that this process owns: each has a cell in its file; when that is empty, its tensors go.

enter() ──> OwnedRequest ── text ─parameter of each call─> verify, is_over
              invocation() ... around each call
              end()            the client has its answer: whoever still works for it may stop
The cell is cleared when it has ended and no invocation is under way: until then one may read its tensors.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from corntriton.runtime.shm.backing import Backing
from corntriton.runtime.shm.credential import credential
from corntriton.runtime.shm.errors import ArenaFullError
from corntriton.runtime.shm.layout import NONCE_HIGH, NONCE_LOW, NUMBER, OVER, Tag


class Owner:
    """The cells of this process's file, of which it is the only writer."""

    def __init__(self, backing: Backing) -> None:
        self._backing = backing
        self._words, self._layout = backing.words, backing.layout
        self._free = [*range(backing.layout.n_cells - 1, -1, -1)]
        self._number = 0
        self._lock = threading.Lock()

    @property
    def n_held(self) -> int:
        """How many requests have cells."""
        return self._layout.n_cells - len(self._free)

    @property
    def n_free(self) -> int:
        """How many more may have one."""
        return len(self._free)

    def enter(self) -> OwnedRequest:
        """Gives a new request a cell.

        Raises:
            ArenaFullError: All are taken: by requests, and by ended ones with invocations still under way.
        """
        nonce = divmod(secrets.randbits(128), 1 << 64)
        with self._lock:
            if not self._free:
                raise ArenaFullError(f"it carries {self._layout.n_cells} requests, as many as it can")
            cell = self._free.pop()
            self._number += 1
            number = self._number
        begin = self._layout.cell(cell)
        self._words[begin + NONCE_HIGH], self._words[begin + NONCE_LOW] = nonce
        self._words[begin + NUMBER] = number
        return OwnedRequest(self, Tag(self._backing.arena, cell, number), nonce)

    def mark_over(self, tag: Tag) -> None:
        """Tells those who work for the request that nobody waits for it."""
        self._words[self._layout.cell(tag.cell) + OVER] = tag.number

    def clear(self, tag: Tag) -> None:
        """Ends the life of the request's tensors."""
        self._words[self._layout.cell(tag.cell) + NUMBER] = 0
        with self._lock:
            self._free.append(tag.cell)

    def close(self) -> None:
        """Ends all requests."""
        for cell in range(self._layout.n_cells):
            self._words[self._layout.cell(cell) + NUMBER] = 0


class OwnedRequest:
    """A request, from its arrival until nothing that could see its tensors is under way.

    Attributes:
        tag: For the tensors that the owner itself puts into its arena.
        text: For the parameters of its calls.
    """

    def __init__(self, owner: Owner, tag: Tag, nonce: tuple[int, int]) -> None:
        self.tag = tag
        self.text = credential(tag, nonce)
        self._owner = owner
        self._n_invocations = 0
        self._ended = False
        self._lock = threading.Lock()

    @contextmanager
    def invocation(self) -> Iterator[None]:
        """Keeps its tensors while a call is under way, or a result is read.

        Raises:
            RuntimeError: It has ended, and its tensors may be gone.
        """
        with self._lock:
            if self._ended:
                raise RuntimeError("a call of a request that has ended")
            self._n_invocations += 1
        try:
            yield
        finally:
            self._leave(1)

    def end(self) -> None:
        """The client has its final answer."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
        self._owner.mark_over(self.tag)
        self._leave(0)

    def _leave(self, n_invocations: int) -> None:
        with self._lock:
            self._n_invocations -= n_invocations
            last = self._ended and not self._n_invocations
        if last:
            self._owner.clear(self.tag)
