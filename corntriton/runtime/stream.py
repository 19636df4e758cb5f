"""Runs the streams of a streaming component, several at a time, each on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from corntriton.runtime import life
from corntriton.runtime.answer import Ports, RefusedError, failure_of
from corntriton.runtime.item import Item
from corntriton.runtime.messages import Call, Chunk, End, Failure
from corntriton.runtime.tensors import Array

Stream = Callable[[Item], Iterable[Any]]
Send = Callable[[Chunk | End], None]


class StreamRunner:
    """Runs a component's streams.

    Args:
        stream: The component's method: takes an item, yields chunks.
        ports: Checks both.
        concurrency: How many run at once; a host must not start more.
        send: Takes chunks and ends from any thread.
    """

    def __init__(self, stream: Stream, ports: Ports, concurrency: int, send: Send) -> None:
        self._stream = stream
        self._ports = ports
        self._send = send
        self._pool = ThreadPoolExecutor(concurrency, "stream")

    def start(self, slot: int, call: Call, flags: Sequence[int]) -> None:
        """Starts a stream and returns at once; it is cancelled once flags[slot] is not 0."""
        self._pool.submit(self._run, slot, call, flags)

    def close(self) -> None:
        """Returns when every stream has ended."""
        self._pool.shutdown()

    def _run(self, slot: int, call: Call, flags: Sequence[int]) -> None:
        failure = None
        try:
            self._emit(slot, call, flags)
        except Exception as error:
            failure = failure_of(error)
        self._send(End(slot, failure))

    def _emit(self, slot: int, call: Call, flags: Sequence[int]) -> None:
        outputs = run_stream(self._stream, self._ports, call, flags, slot)
        try:
            for each in outputs:
                self._send(Chunk(slot, each))
        finally:
            outputs.close()


def run_stream(
    stream: Stream, ports: Ports, call: Call, flags: Sequence[int], slot: int
) -> Generator[dict[str, Array], None, None]:
    """What a stream emits; it is cancelled once flags[slot] is not 0.

    Raises:
        RefusedError: The call is wrong, or nobody waits for the rest.
    """
    items = ports.items(call, flags, slot)
    if len(items) != 1:
        raise RefusedError(Failure("INVALID_ARG", f"a stream is for one item, the request has {len(items)}"))
    life.due_ns.set(call.deadline_ns or 0)
    chunks = iter(stream(items[0]))
    try:
        for chunk in chunks:
            _check_still_wanted(items[0])
            outputs = ports.outputs([chunk], call)
            _check_kept(ports, items)
            if outputs:
                yield outputs
    finally:
        if isinstance(chunks, Generator):  # so that its own finally blocks run now, on this thread
            chunks.close()


def _check_kept(ports: Ports, items: Sequence[Item]) -> None:
    loss = ports.loss(items)
    if loss is not None:
        raise RefusedError(loss)


def _check_still_wanted(item: Item) -> None:
    if item.cancelled():
        raise RefusedError(Failure("CANCELLED", "cancelled"))
    if item.time_left_s <= 0:
        raise RefusedError(Failure("UNAVAILABLE", "the deadline passed while it was under way"))
